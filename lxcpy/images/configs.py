"""The config of an image, OCI image spec 1.1 config.md; docker's field names are the same.

The id of an image is the sha256 of the bytes of its config, so the bytes are kept as they came.
"""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Config = dict[str, Any]

# uname(2) -> (GOARCH, variant), the names that registries use
ARCHITECTURES = {
    "x86_64": ("amd64", ""), "i386": ("386", ""), "i686": ("386", ""),
    "aarch64": ("arm64", ""), "armv7l": ("arm", "v7"), "armv6l": ("arm", "v6"),
    "ppc64le": ("ppc64le", ""), "s390x": ("s390x", ""), "riscv64": ("riscv64", ""),
    "mips64": ("mips64le", ""), "loongarch64": ("loong64", ""),
}  # fmt: skip
MAX_CONFIG = 8 << 20


def architecture(machine: str | None = None) -> tuple[str, str]:
    """(architecture, variant) of a machine as OCI names them; of this one by default."""
    machine = machine or os.uname().machine
    return ARCHITECTURES.get(machine, (machine, ""))


def new_config(
    diff_ids: Sequence[str],
    *,
    config: Config,
    history: Iterable[Config],
    author: str = "",
    created: str,
) -> Config:
    """The config of an image of these layers, bottom first; `created` is RFC 3339."""
    name, variant = architecture()
    entries = list(history)
    lacking = len(diff_ids) - sum(not entry.get("empty_layer") for entry in entries)
    entries[:0] = [{"created": created, "comment": "history unknown"}] * lacking
    whole: Config = {
        "created": created,
        "author": author,
        "architecture": name,
        "variant": variant,
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        "history": [{key: value for key, value in entry.items() if value} for entry in entries],
    }
    return {key: value for key, value in whole.items() if value != ""}


def apply_changes(config: Config, changes: Iterable[str]) -> Config:
    """See `instructions.apply_changes`: loaded only here, since every command loads this module."""
    from lxcpy.images import instructions

    return instructions.apply_changes(config, changes)


def serialise(config: Config) -> bytes:
    """The bytes of a new config; the same config gives the same bytes."""
    return json.dumps(config, separators=(",", ":"), sort_keys=True).encode()


def parse(data: bytes) -> Config:
    """Read a config; ValueError says what is wrong with it.

    What lxcpy uses of it has the right type afterwards: it may come from a stranger.
    """
    if len(data) > MAX_CONFIG:
        raise ValueError(f"it has more than {MAX_CONFIG} bytes")
    try:
        whole = json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    rootfs = whole.get("rootfs") if isinstance(whole, dict) else None
    if not isinstance(rootfs, dict) or not _is_list(rootfs.get("diff_ids")):
        raise ValueError("it has no rootfs.diff_ids")
    for diff_id in rootfs["diff_ids"]:
        _check_digest(diff_id)
    inner = whole.get("config")
    if inner is not None and not isinstance(inner, dict):
        raise ValueError("config is no object")
    for key, fits in FIELDS.items():
        if inner and inner.get(key) is not None and not fits(inner[key]):
            raise ValueError(f"config.{key} has the wrong type")
    history = whole.get("history")
    if history is not None and not (
        isinstance(history, list) and all(isinstance(entry, dict) for entry in history)
    ):
        raise ValueError("history is no list of objects")
    return dict(whole)


def _check_digest(text: str) -> None:
    algorithm, _, digits = text.partition(":")
    if algorithm != "sha256" or len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
        raise ValueError(f"{text!r} is no diff id")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_map(value: object) -> bool:
    return isinstance(value, dict)


def _is_text_map(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


FIELDS: dict[str, Callable[[object], bool]] = {
    "Cmd": _is_list, "Entrypoint": _is_list, "Env": _is_list, "OnBuild": _is_list,
    "Labels": _is_text_map, "ExposedPorts": _is_map, "Volumes": _is_map,
    "User": _is_text, "WorkingDir": _is_text, "StopSignal": _is_text, "Healthcheck": _is_map,
}  # fmt: skip
