"""create, start, run, stop, kill, wait, remove."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress

from lxcpy import kernel
from lxcpy.containers import states
from lxcpy.engine import connection, launch, specs
from lxcpy.engine.connection import Connection
from lxcpy.engine.host import Host
from lxcpy.errors import InUseError, LxcpyError, NotFoundError
from lxcpy.model import Container, ContainerSpec, State

STOP_TIMEOUT_S = 10.0  # docker's: how long a payload may take to end after its stop signal
SIGKILL = signal.SIGKILL
Created = Callable[[Container], None] | None
Size = tuple[int, int]  # rows and columns of a terminal
KILL_TIMEOUT_S = 30.0  # SIGKILL works at once but for a process in uninterruptible sleep


def create(host: Host, spec: ContainerSpec, *, durable: bool = True) -> Container:
    """Make a container of an image; nothing runs yet. `durable`: it survives a power cut."""
    from lxcpy.containers.store import check_name
    from lxcpy.engine import image as images

    if spec.name is not None:
        check_name(spec.name)
    container = specs.build(spec, images.get(host, spec.image))
    below = launch.branches(host, container)
    launch.check(host, container, below)
    host.containers.add(container, spec.name, durable=durable)
    try:
        launch.prepare_root(host, container, below)
    except BaseException:
        remove(host, container.key)
        raise
    return container


def start(host: Host, key: str, *, wants: bytes = b"", size: Size = (0, 0)) -> Connection:
    """Start a container under a monitor; StartError with LXC's reason when it does not run.

    `wants` are the streams to attach ("o" and "e"), `size` the terminal's (rows, columns). The
    caller reads the connection to its end, or closes it: the container goes on.
    """
    with host.containers.lock(key):
        container = host.containers.load(key)
        if state(host, key).monitor:
            raise InUseError(f"container {key} is already running")
        link = connection.launch(key)  # it boots while we prepare
        try:
            launch.start(host, container, link, wants=wants, size=size)
        except BaseException:
            link.close()
            raise
        return link


def run(
    host: Host,
    spec: ContainerSpec,
    *,
    wants: bytes = b"",
    size: Size = (0, 0),
    created: Created = None,
) -> tuple[Container, Connection]:
    """Create, call `created`, start; a container that does not start is removed again."""
    container = create(host, spec, durable=not spec.auto_remove)
    try:
        if created:
            created(container)
        return container, start(host, container.key, wants=wants, size=size)
    except BaseException:
        remove(host, container.key)
        raise


def state(host: Host, key: str) -> State:
    """What the container does now."""
    return states.read(host.paths, key)


def kill(host: Host, key: str, number: int = signal.SIGKILL) -> None:
    """Send a signal to the payload's first process; LxcpyError when it does not run."""
    now = state(host, key)
    pidfd = kernel.open_process(now.pid, now.pid_start) if now.pid else None
    if pidfd is None:
        raise LxcpyError(f"container {key} is not running", hint="lxcpy ps -a shows its state")
    try:
        with suppress(ProcessLookupError):  # it ended in between
            signal.pidfd_send_signal(pidfd, number)
    finally:
        os.close(pidfd)


def stop(host: Host, key: str, *, timeout_s: float = STOP_TIMEOUT_S) -> None:
    """Send the stop signal, and SIGKILL to what still runs after `timeout_s`; then it is over."""
    if not state(host, key).pid:
        return
    number = signal_number(host.containers.load(key).stop_signal)
    with suppress(LxcpyError):
        kill(host, key, number)
    if not ended(host, key, timeout_s=timeout_s):
        destroy(host, key)


def destroy(host: Host, key: str) -> None:
    """SIGKILL the payload and wait until its monitor has written the exit record."""
    with suppress(LxcpyError):
        kill(host, key, signal.SIGKILL)
    if not ended(host, key, timeout_s=KILL_TIMEOUT_S):
        raise LxcpyError(
            f"container {key} does not die",
            hint="a process in uninterruptible sleep? look for state D in ps",
        )


def ended(host: Host, key: str, *, timeout_s: float | None) -> bool:
    """Wait for the end of what runs now: True once it is over, False after `timeout_s`."""
    try:
        link = connection.connect(host.paths, key)
    except NotFoundError:
        return _await_monitor(host, key, timeout_s)
    try:
        link.socket.settimeout(timeout_s)
        link.wait_for(b"X", b"F")
    except TimeoutError:
        return False
    finally:
        link.close()
    return True


def _await_monitor(host: Host, key: str, timeout_s: float | None) -> bool:
    """For a monitor that is about to listen, or has just stopped to: wait for its death."""
    import select

    monitor = state(host, key).monitor
    pidfd = kernel.open_process(*monitor) if monitor else None
    if pidfd is None:
        return True
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    try:
        return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))
    finally:
        os.close(pidfd)


def wait(host: Host, key: str) -> int:
    """Wait until the container does not run, and return its exit code (128+n for signal n)."""
    try:
        link = connection.connect(host.paths, key)
    except NotFoundError:
        ended(host, key, timeout_s=None)
        return state(host, key).exit_code
    try:
        frame = link.wait_for(b"X")
    finally:
        link.close()
    return int(frame[1]) if frame else state(host, key).exit_code


def remove(host: Host, key: str, *, force: bool = False) -> None:
    """Delete a container; InUseError when it runs, unless `force` kills it first."""
    if force and state(host, key).monitor:
        destroy(host, key)
    with host.containers.lock(key):
        if not host.containers.exists(key):
            raise NotFoundError(f"No such container: {key}")
        if state(host, key).monitor:
            raise InUseError(
                f"container {key} is running", hint=f"stop it first, or: lxcpy rm -f {key}"
            )
        launch.sweep(host, key)
        host.containers.remove(key)


def signal_number(text: str) -> int:
    """The number of a signal given as 9, KILL or SIGKILL; RTMIN+3 too."""
    name, plus, offset = text.upper().removeprefix("SIG").partition("+")
    if _is_small(name) and not plus and 0 < int(name) < signal.NSIG:
        return int(name)
    number = getattr(signal, f"SIG{name}", None)
    fits = not plus or (name == "RTMIN" and _is_small(offset))
    if not isinstance(number, signal.Signals) or not fits:
        raise LxcpyError(f"unknown signal {text!r}", hint="give a name such as TERM or a number")
    total = int(number) + int(offset or 0)
    if total >= signal.NSIG:
        raise LxcpyError(f"unknown signal {text!r}", hint=f"the highest is {signal.NSIG - 1}")
    return total


def _is_small(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 3
