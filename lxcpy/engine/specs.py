"""From what a user asks and what the image says to a container: the merging rules of docker."""

import os

from lxcpy import kernel
from lxcpy.errors import EXIT_NOT_FOUND, LxcpyError, StartError
from lxcpy.model import Container, ContainerSpec, Image
from lxcpy.shell import PATH

HOSTNAME_LIMIT = 63  # of one DNS label; LXC refuses more than 64
HOSTNAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")
NETWORKS = ("bridge", "none", "host")


def build(spec: ContainerSpec, image: Image) -> Container:
    """The container that `spec` makes of `image`; LxcpyError for what cannot be.

    An entrypoint of the user's drops the image's command, as docker's does.
    """
    from lxcpy.lxc.config import parse_lxc_conf

    config = image.config.get("config") or {}
    container_id = os.urandom(32).hex()
    if spec.entrypoint is None:
        entrypoint = tuple(config.get("Entrypoint") or ())
        command = spec.command or tuple(config.get("Cmd") or ())
    else:
        entrypoint, command = spec.entrypoint, spec.command
    argv = entrypoint + command
    check_argv(argv)
    hostname = spec.hostname or _default_hostname(spec, container_id)
    _check_hostname(hostname)
    workdir = spec.workdir or config.get("WorkingDir") or "/"
    if not workdir.startswith("/"):
        raise LxcpyError(
            f"the working directory {workdir!r} is not absolute", hint="give a path from /"
        )
    if spec.network not in NETWORKS:
        raise LxcpyError(f"no such network: {spec.network}", hint=f"one of {', '.join(NETWORKS)}")
    return Container(
        id=container_id,
        created=kernel.now(),
        image=spec.image,
        image_id=image.id,
        layers=image.layers,
        argv=argv,
        entrypoint=entrypoint,
        command=command,
        env=_environment(spec, config.get("Env") or (), hostname),
        labels={**(config.get("Labels") or {}), **spec.labels},
        workdir=workdir,
        user=spec.user if spec.user is not None else config.get("User") or "",
        hostname=hostname,
        tty=spec.tty,
        open_stdin=spec.open_stdin,
        auto_remove=spec.auto_remove,
        init=spec.init,
        network=spec.network,
        stop_signal=spec.stop_signal or config.get("StopSignal") or "SIGTERM",
        lxc_conf=tuple(parse_lxc_conf(item) for item in spec.lxc_conf),
    )


def check_argv(argv: tuple[str, ...]) -> None:
    """Refuse what no exec(2) takes, and a command name that could forge a line of LXC's log."""
    if not argv:
        raise LxcpyError("no command specified", hint="the image has none: give one after its name")
    if not argv[0]:
        raise StartError('exec "": no such file or directory', exit_code=EXIT_NOT_FOUND)
    if any(character in argv[0] for character in "\n\r"):
        raise LxcpyError(f"the command name {argv[0]!r} has a line break")
    if any("\0" in word for word in argv):
        raise LxcpyError("a word of the command has a NUL byte: no program can be given one")


def _default_hostname(spec: ContainerSpec, container_id: str) -> str:
    return os.uname().nodename if spec.network == "host" else container_id[:12]


def _check_hostname(hostname: str) -> None:
    if not (hostname and len(hostname) <= HOSTNAME_LIMIT and set(hostname) <= HOSTNAME):
        raise LxcpyError(
            f"invalid host name {hostname!r}",
            hint=f"up to {HOSTNAME_LIMIT} of a-z A-Z 0-9 - .",
        )


def _environment(spec: ContainerSpec, image: object, hostname: str) -> tuple[str, ...]:
    """Defaults, then the image's, then the user's; the last of one name wins, in first place."""
    merged = {"PATH": PATH, "HOSTNAME": hostname}
    if spec.tty:
        merged["TERM"] = "xterm"
    for item in (*(image if isinstance(image, list) else ()), *spec.env):
        name, equals, value = str(item).partition("=")
        if not name or not equals or "\0" in item:
            raise LxcpyError(f"invalid environment variable {item!r}", hint="give NAME=VALUE")
        merged[name] = value
    return tuple(f"{name}={value}" for name, value in merged.items())
