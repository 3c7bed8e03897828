"""exec: a further process in a running container, by lxc-attach."""

import os
import select
import stat
import threading
from dataclasses import dataclass

from lxcpy import shell, state
from lxcpy.containers import users
from lxcpy.engine import launch, lifecycle, specs
from lxcpy.engine.attach import write_all
from lxcpy.engine.connection import CHUNK
from lxcpy.engine.host import Host
from lxcpy.errors import LxcpyError
from lxcpy.lxc import tools


@dataclass(frozen=True)
class ExecSpec:
    """What a user asks of `exec`; None means what the container itself has."""

    argv: tuple[str, ...]
    env: tuple[str, ...] = ()  # NAME=VALUE
    workdir: str | None = None
    user: str | None = None
    tty: bool = False
    stdin: bool = False


def prepare(host: Host, key: str, spec: ExecSpec) -> tuple[list[str], dict[str, str]]:
    """The lxc-attach command line and its environment; LxcpyError when the container is down."""
    specs.check_argv(spec.argv)
    if not lifecycle.state(host, key).pid:
        raise LxcpyError(f"container {key} is not running", hint="lxcpy ps -a shows its state")
    container = host.containers.load(key)
    files = launch.container_files(host, container, launch.branches(host, container))
    user = container.user if spec.user is None else spec.user
    who = users.identify(user, *launch.user_files(files))
    env = {"TERM": "xterm"} if spec.tty else {}
    env |= dict(item.split("=", 1) for item in container.env)
    env.setdefault("HOME", who.home)
    env |= dict(item.split("=", 1) for item in spec.env)
    argv = list(spec.argv)
    workdir = spec.workdir or container.workdir
    argv = [launch.INIT_TARGET, "-w", workdir, "--", *argv]
    return tools.attach_argv(
        key, host.paths.containers, uid=who.uid, gid=who.gid, env=env, argv=argv
    )


def run(host: Host, key: str, spec: ExecSpec) -> int:
    """Run it on our own streams and return its exit code; often by becoming lxc-attach.

    lxc-attach 5.0 changes owner and mode of the regular files behind its streams, and makes a
    terminal of its own as soon as one of them is a terminal: such streams get a pipe in between.
    """
    argv, environment = prepare(host, key, spec)
    if not spec.stdin:
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        if null:
            os.close(null)
    if spec.tty or all(_is_harmless(fd) for fd in (0, 1, 2)):
        shell.replace(argv, environment)
    return _relay(argv, environment)


def detach(host: Host, key: str, spec: ExecSpec) -> None:
    """Start it in the background, its output thrown away (docker's exec -d)."""
    argv, environment = prepare(host, key, spec)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        streams = {0: null, 1: null, 2: null}
        shell.spawn(argv, streams, session=True, environment=environment)
    finally:
        os.close(null)


def _is_harmless(fd: int) -> bool:
    found = os.fstat(fd)
    if stat.S_ISCHR(found.st_mode):
        return found.st_rdev == os.stat(os.devnull).st_rdev
    return stat.S_ISFIFO(found.st_mode) or stat.S_ISSOCK(found.st_mode)


def _relay(argv: list[str], environment: dict[str, str]) -> int:
    """Run with pipes in place of our streams, and copy."""
    (its_in, to_in), (from_out, its_out), (from_err, its_err) = (os.pipe() for _ in range(3))
    try:
        streams = {0: its_in, 1: its_out, 2: its_err}
        pid = shell.spawn(argv, streams, environment=environment)
    finally:
        for fd in (its_in, its_out, its_err):
            os.close(fd)
    threading.Thread(target=_feed, args=(to_in,), daemon=True).start()
    targets = {from_out: 1, from_err: 2}
    poll = select.poll()
    for fd in targets:
        poll.register(fd, select.POLLIN)
    while targets:
        for fd, _ in poll.poll():
            data = os.read(fd, CHUNK)
            write_all(targets[fd], data)
            if not data:
                poll.unregister(fd)
                del targets[fd]
    return _exit_code(os.waitpid(pid, 0)[1])


def _feed(to_in: int) -> None:
    """Copy our input; a thread of its own, since a program may write before it reads."""
    try:
        while data := os.read(0, CHUNK):
            state.write_all(to_in, data)
    except OSError:
        pass  # our terminal went, or the program reads no more
    os.close(to_in)


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code
