"""Changes of an image's config in a Dockerfile's words: `commit --change` and `import --change`."""

import posixpath
import signal
from collections.abc import Callable, Iterable
from typing import Any

from lxcpy.errors import LxcpyError
from lxcpy.images import words

Config = dict[str, Any]

SHELL = ("/bin/sh", "-c")
PROTOCOLS = ("tcp", "udp", "sctp")
NEVER_ON_BUILD = ("ONBUILD", "FROM", "MAINTAINER")
UNITS_NS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
HEALTH_TIMES = {"interval": "Interval", "timeout": "Timeout", "start-period": "StartPeriod"}


def apply_changes(config: Config, changes: Iterable[str]) -> Config:
    """A copy of an image's `config` part with instructions applied in their order.

    Raises LxcpyError that names the instruction.
    """
    changed = {key: _copy(value) for key, value in config.items()}
    seen: set[str] = set()
    for change in changes:
        name, rest = (*change.split(None, 1), "", "")[:2]
        name = name.upper()
        if name not in INSTRUCTIONS:
            known = " ".join(sorted(INSTRUCTIONS))
            raise LxcpyError(f"unknown instruction {name!r}", hint=f"known are: {known}")
        if not rest.strip():
            raise LxcpyError(f"instruction {name}: it needs a value")
        try:
            INSTRUCTIONS[name](changed, rest.strip())
            _check_text(changed)
        except ValueError as error:
            raise LxcpyError(f"instruction {change.strip()!r}: {error}") from error
        seen.add(name)
        if name == "ENTRYPOINT" and "CMD" not in seen:
            changed.pop("Cmd", None)  # as docker: the old arguments belong to the old program
    return changed


def _check_text(value: Any) -> None:
    """No program and no file can be given a zero byte."""
    if isinstance(value, str) and "\0" in value:
        raise ValueError("it cannot hold a NUL byte")
    if isinstance(value, dict):
        _check_text([*value, *value.values()])
    elif isinstance(value, list):
        for item in value:
            _check_text(item)


def _expand(config: Config, text: str) -> str:
    value = words.expand(text, _variables(config))
    if not value:
        raise ValueError("the value is empty")
    return value


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(value)
    return list(value) if isinstance(value, list) else value


def _variables(config: Config) -> dict[str, str]:
    pairs = (item.partition("=") for item in config.get("Env") or ())
    return {name: value for name, _, value in pairs}


def _command(text: str) -> list[str]:
    given = words.json_list(text)
    return [*SHELL, text] if given is None else given


def _cmd(config: Config, text: str) -> None:
    config["Cmd"] = _command(text)


def _entrypoint(config: Config, text: str) -> None:
    config["Entrypoint"] = _command(text)


def _pairs(config: Config, text: str) -> list[tuple[str, str]]:
    """`NAME=VALUE ...`, or the old form `NAME VALUE` whose value is the rest of the line."""
    variables = _variables(config)
    if "=" not in text.split(None, 1)[0]:
        name, _, value = text.partition(" ")
        if not value.strip():
            raise ValueError("NAME=VALUE is needed")
        return [(name, words.expand(value.strip(), variables))]
    pairs = [word.partition("=") for word in words.split(text, variables)]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise ValueError(f"{name!r} is not NAME=VALUE")
    return [(name, value) for name, _, value in pairs]


def _env(config: Config, text: str) -> None:
    pairs = _pairs(config, text)
    values = {**_variables(config), **dict(pairs)}
    config["Env"] = [f"{name}={value}" for name, value in values.items()]


def _label(config: Config, text: str) -> None:
    config["Labels"] = {**(config.get("Labels") or {}), **dict(_pairs(config, text))}


def _expose(config: Config, text: str) -> None:
    ports = dict(config.get("ExposedPorts") or {})
    for word in words.split(text, _variables(config)):
        numbers, _, protocol = word.partition("/")
        protocol = protocol.lower() or "tcp"
        first, _, last = numbers.partition("-")
        if not _is_port(first) or not _is_port(last or first) or protocol not in PROTOCOLS:
            raise ValueError(f"{word!r} is not PORT[-PORT][/tcp|udp|sctp]")
        if int(first) > int(last or first):
            raise ValueError(f"{word!r} ends before it starts")
        for port in range(int(first), int(last or first) + 1):
            ports[f"{port}/{protocol}"] = {}
    config["ExposedPorts"] = ports


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 6 and 0 < int(text) < 65536


def _on_build(config: Config, text: str) -> None:
    first = text.split(None, 1)[0].upper()
    if first in NEVER_ON_BUILD:
        raise ValueError(f"{first} cannot be a trigger")
    config["OnBuild"] = [*(config.get("OnBuild") or ()), text]


def _stop_signal(config: Config, text: str) -> None:
    word = _expand(config, text)
    name = word.upper().removeprefix("SIG")
    known = {member.name.removeprefix("SIG") for member in signal.Signals}
    base = name.partition("+")[0].partition("-")[0]  # RTMIN+3
    is_number = word.isascii() and word.isdecimal() and len(word) < 3 and 0 < int(word) <= 64
    if not is_number and name not in known and not (base != name and base in ("RTMIN", "RTMAX")):
        raise ValueError(f"there is no signal {word!r}")
    config["StopSignal"] = word


def _user(config: Config, text: str) -> None:
    config["User"] = _expand(config, text)


def _volume(config: Config, text: str) -> None:
    paths = words.json_list(text)
    if paths is None:
        paths = words.split(text, _variables(config))
    if not paths or "" in paths:
        raise ValueError("a volume needs a path")
    config["Volumes"] = {**(config.get("Volumes") or {}), **{path: {} for path in paths}}


def _work_dir(config: Config, text: str) -> None:
    path = _expand(config, text)
    joined = posixpath.join("/", config.get("WorkingDir") or "/", path)
    config["WorkingDir"] = "/" + posixpath.normpath(joined).lstrip("/")


def _health_check(config: Config, text: str) -> None:
    check: Config = {}
    while text.startswith("--"):
        option, _, text = text.partition(" ")
        name, equals, value = option[2:].partition("=")
        if name == "retries" and value.isascii() and value.isdecimal():
            check["Retries"] = int(value)
        elif name in HEALTH_TIMES and equals:
            check[HEALTH_TIMES[name]] = duration_ns(value)
        else:
            raise ValueError(f"{option} is no option of it")
        text = text.strip()
    kind, _, command = text.partition(" ")
    if kind.upper() == "NONE" and not command and not check:
        check["Test"] = ["NONE"]
    elif kind.upper() == "CMD" and command.strip():
        given = words.json_list(command.strip())
        check["Test"] = ["CMD-SHELL", command.strip()] if given is None else ["CMD", *given]
    else:
        raise ValueError("NONE, or options and CMD with a command, is needed")
    config["Healthcheck"] = check


def duration_ns(text: str) -> int:
    """Nanoseconds of a time in Go's notation, such as 1m30s or 1.5h."""
    total = 0.0
    rest = text
    while rest:
        number = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(number) :]
        unit = next(
            (unit for unit in ("ms", "ns", "us", "µs", "h", "m", "s") if rest.startswith(unit)), ""
        )
        if not unit or not number.strip(".") or number.count(".") > 1:
            raise ValueError(f"{text!r} is no time such as 30s or 1m30s")
        total += float(number) * UNITS_NS[unit]
        rest = rest[len(unit) :]
    if not total:
        raise ValueError(f"{text!r} is no time above zero")
    return round(total)


INSTRUCTIONS: dict[str, Callable[[Config, str], None]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _health_check,
    "LABEL": _label,
    "ONBUILD": _on_build,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _work_dir,
}
