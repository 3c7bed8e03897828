"""Configs of images (OCI image-spec 1.1, config.md) and changes to them in Dockerfile's words."""

import json
import os
import re
import signal
from collections.abc import Callable, Sequence
from typing import Any

from lxcpy.errors import LxcpyError
from lxcpy.images import words

Config = dict[str, Any]

# GOARCH, which OCI asks for, by uname(2)'s names; the others are the same or unknown.
ARCHITECTURES = {
    "x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386",
    "i586": "386", "loongarch64": "loong64",
}  # fmt: skip
SHELL = ["/bin/sh", "-c"]
NO_TRIGGER = ("ONBUILD", "FROM", "MAINTAINER")
PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
MAX_PORT = 65535
REAL_TIME = re.compile(r"RTM(?:IN(?:\+[0-9]{1,2})?|AX(?:-[0-9]{1,2})?)")
MAX_SIGNAL = 64
DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|ms|s|m|h))+")
TIME = re.compile(r"([0-9.]+)([a-z]+)")
NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
HEALTH_TIMES = {
    "interval": "Interval", "timeout": "Timeout", "start-period": "StartPeriod",
    "start-interval": "StartInterval",
}  # fmt: skip


def new_config(
    diff_ids: Sequence[str], *, config: Config, history: list[Config], author: str, created: str
) -> Config:
    """The config of an image for this machine; `config` is what its containers start with.

    `diff_ids` are bottom first, `created` is RFC 3339.
    """
    machine = os.uname().machine
    return {
        "created": created,
        **({"author": author} if author else {}),
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        "history": history,
    }


def serialise(config: Config) -> bytes:
    """The bytes that are stored, and whose sha256 is the image's id: compact JSON.

    Escapes keep it in ASCII, so that names that are not UTF-8 (lone surrogates) survive.
    """
    return json.dumps(config, separators=(",", ":")).encode()


def apply_changes(config: Config, changes: Sequence[str]) -> Config:
    """A new inner config with Dockerfile instructions applied, each one text: docker's `-c`.

    Raises LxcpyError that names the instruction.
    """
    changed = dict(config)
    has_command = False
    for change in changes:
        name, rest = _take_apart(change)
        try:
            INSTRUCTIONS[name](changed, rest)
        except ValueError as error:
            raise LxcpyError(f"bad change {_shown(change)}: {name}: {error}") from error
        has_command = has_command or name == "CMD"
        if name == "ENTRYPOINT" and not has_command:
            changed.pop("Cmd", None)  # as docker: it belonged to the old entry point
    return changed


def _take_apart(change: str) -> tuple[str, str]:
    first, *others = change.split(maxsplit=1) or [""]
    name, rest = first.upper(), others[0].rstrip() if others else ""
    if name not in INSTRUCTIONS:
        raise LxcpyError(
            f"bad change {_shown(change)}: there is no instruction {_shown(first)}",
            hint=f"these are known: {' '.join(INSTRUCTIONS)}",
        )
    if not rest:
        raise LxcpyError(f"bad change {_shown(change)}: {name} needs an argument")
    if "\0" in rest:
        raise LxcpyError(f"bad change {_shown(change)}: {name} cannot hold a NUL byte")
    return name, rest


def _shown(text: str) -> str:
    return repr(text) if text.isprintable() else ascii(text)


def _cmd(config: Config, rest: str) -> None:
    config["Cmd"] = _command(rest)


def _entrypoint(config: Config, rest: str) -> None:
    config["Entrypoint"] = _command(rest)


def _command(rest: str) -> list[str]:
    array = _array(rest)
    return [*SHELL, rest] if array is None else array


def _array(rest: str) -> list[str] | None:
    """The JSON form; what is none is a shell's text, which may start with [ as well."""
    if not rest.startswith("["):
        return None
    try:
        array = json.loads(rest)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(item, str) for item in array):
        return None
    if any("\0" in item for item in array):
        raise ValueError("it cannot hold a NUL byte")
    return [str(item) for item in array]


def _env(config: Config, rest: str) -> None:
    env = [item for item in config.get("Env") or () if isinstance(item, str)]
    for key, value in _pairs(config, rest):
        at = next((i for i, item in enumerate(env) if item.partition("=")[0] == key), len(env))
        env[at : at + 1] = [f"{key}={value}"]
    config["Env"] = env


def _label(config: Config, rest: str) -> None:
    config["Labels"] = {**_mapping(config, "Labels"), **dict(_pairs(config, rest))}


def _pairs(config: Config, rest: str) -> list[tuple[str, str]]:
    """`a=b c="d e"`, or the old form `a b`, where the value is the rest of the line."""
    variables = _variables(config)
    typed = words.split(rest)
    if "=" not in typed[0]:
        typed = ["=".join(rest.split(maxsplit=1))]
    pairs = []
    for word in typed:
        key, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"{_shown(word)} is not NAME=VALUE")
        key = words.evaluate(key, variables)
        if not key or "=" in key:
            raise ValueError(f"{_shown(word)} has no usable name")
        pairs.append((key, words.evaluate(value, variables)))
    return pairs


def _expose(config: Config, rest: str) -> None:
    ports = _mapping(config, "ExposedPorts")
    for word in _words(config, rest):
        match = PORT.fullmatch(word)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not match or not 0 < first <= last <= MAX_PORT:
            raise ValueError(f"{_shown(word)} is not PORT[-PORT][/tcp|/udp|/sctp]")
        protocol = (match[3] or "tcp").lower()
        ports.update({f"{port}/{protocol}": {} for port in range(first, last + 1)})
    config["ExposedPorts"] = ports


def _volume(config: Config, rest: str) -> None:
    paths = _array(rest)
    if paths is None:
        paths = _words(config, rest)
    if not paths or not all(path.strip() for path in paths):
        raise ValueError("a path is empty")
    config["Volumes"] = {**_mapping(config, "Volumes"), **{path: {} for path in paths}}


def _on_build(config: Config, rest: str) -> None:
    trigger = rest.split(maxsplit=1)[0].upper()
    if trigger in NO_TRIGGER:
        raise ValueError(f"{trigger} is not allowed in it")
    config["OnBuild"] = [*(config.get("OnBuild") or ()), rest]


def _stop_signal(config: Config, rest: str) -> None:
    text = words.evaluate(rest, _variables(config))
    name = text.upper().removeprefix("SIG")
    is_number = text.isascii() and text.isdecimal() and 0 < int(text[:4]) <= MAX_SIGNAL
    if not (is_number or f"SIG{name}" in signal.Signals.__members__ or REAL_TIME.fullmatch(name)):
        raise ValueError(f"{_shown(text)} is no signal")
    config["StopSignal"] = text


def _user(config: Config, rest: str) -> None:
    config["User"] = _text(config, rest)


def _workdir(config: Config, rest: str) -> None:
    earlier = config.get("WorkingDir")
    path = os.path.join("/", earlier if isinstance(earlier, str) else "", _text(config, rest))
    config["WorkingDir"] = "/" + os.path.normpath(path).lstrip("/")


def _healthcheck(config: Config, rest: str) -> None:
    health: Config = {}
    while rest.startswith("--"):
        option, rest = (*rest.split(maxsplit=1), "")[:2]
        name, _, value = option[2:].partition("=")
        if name in HEALTH_TIMES:
            health[HEALTH_TIMES[name]] = _nanoseconds(value)
        elif name == "retries" and value.isascii() and value.isdecimal() and len(value) < 10:
            health["Retries"] = int(value)
        else:
            raise ValueError(f"{_shown(option)} is no option with a value that it can have")
    kind, command = (*rest.split(maxsplit=1), "", "")[:2]
    array = _array(command)
    if kind.upper() == "NONE" and not command and not health:
        health["Test"] = ["NONE"]
    elif kind.upper() == "CMD" and command and array != []:
        health["Test"] = ["CMD-SHELL", command] if array is None else ["CMD", *array]
    else:
        raise ValueError("it is NONE or [OPTIONS] CMD COMMAND")
    config["Healthcheck"] = health


def _nanoseconds(text: str) -> int:
    """A duration as Go writes it, such as 1m30s."""
    if not DURATION.fullmatch(text) or len(text) > 32:
        raise ValueError(f"{_shown(text)} is no duration such as 1m30s")
    return sum(round(float(n) * NANOSECONDS[unit]) for n, unit in TIME.findall(text))


def _text(config: Config, rest: str) -> str:
    text = words.evaluate(rest, _variables(config))
    if not text:
        raise ValueError("the value is empty")
    return text


def _words(config: Config, rest: str) -> list[str]:
    variables = _variables(config)
    return [words.evaluate(word, variables) for word in words.split(rest)]


def _variables(config: Config) -> dict[str, str]:
    items = (item.partition("=") for item in config.get("Env") or () if isinstance(item, str))
    return {key: value for key, _, value in items}


def _mapping(config: Config, field: str) -> Config:
    value = config.get(field)
    return dict(value) if isinstance(value, dict) else {}


INSTRUCTIONS: dict[str, Callable[[Config, str], None]] = {
    "CMD": _cmd, "ENTRYPOINT": _entrypoint, "ENV": _env, "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck, "LABEL": _label, "ONBUILD": _on_build,
    "STOPSIGNAL": _stop_signal, "USER": _user, "VOLUME": _volume, "WORKDIR": _workdir,
}  # fmt: skip
