"""The client's side of a running payload: its streams, its terminal, its signals, its exit code."""

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from lxcpy import state
from lxcpy.engine.connection import CHUNK, Connection

PROXIED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1,
           signal.SIGUSR2)  # fmt: skip


def terminal_size(fd: int) -> tuple[int, int]:
    """Rows and columns of a terminal; zeros when it does not say."""
    try:
        columns, rows = os.get_terminal_size(fd)
    except OSError:
        return 0, 0
    return rows, columns


def attach(
    link: Connection, *, stdin: int | None, tty: bool, send_signal: Callable[[int], None]
) -> int | None:
    """Copy streams until the payload ends: its exit code, None when its monitor died.

    `stdin` is the descriptor to read input from. With `tty` it is a terminal, put into raw mode
    for the time, whose window changes are passed on; without, signals are passed on by
    `send_signal`.
    """
    if tty and stdin is not None:
        with _raw(stdin), _resizing(link, stdin):
            return _copy(link, stdin)
    with _proxied(send_signal):
        return _copy(link, stdin)


def _copy(link: Connection, stdin: int | None) -> int | None:
    poll = select.poll()
    poll.register(link, select.POLLIN)
    if stdin is not None:
        poll.register(stdin, select.POLLIN)
    while True:
        ready = [(link.fileno(), 0)] if link.kept else poll.poll()
        for fd, _ in ready:
            if fd == stdin:
                if not _send_input(link, fd):
                    poll.unregister(fd)
                continue
            frames = link.receive()
            if frames is None:
                return None
            for kind, data in frames:
                if kind == b"X":
                    return int(data)
                write_all(2 if kind == b"E" else 1, data)


def _send_input(link: Connection, fd: int) -> bool:
    """Pass one chunk of input on; False at its end, which is passed on too."""
    try:
        data = os.read(fd, CHUNK)
    except OSError:  # EIO: the terminal is gone
        data = b""
    link.send(b"I" if data else b"Z", data)
    return bool(data)


def write_all(fd: int, data: bytes) -> None:
    """Write to a stream of ours. A reader that is gone ends us like any program of a pipeline."""
    try:
        state.write_all(fd, data)
    except BrokenPipeError:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)


@contextmanager
def _raw(fd: int) -> Iterator[None]:
    """Raw mode: keys go to the payload's terminal as they are; restored whatever happens."""
    import termios
    import tty

    before = termios.tcgetattr(fd)
    tty.setraw(fd, termios.TCSANOW)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


@contextmanager
def _resizing(link: Connection, fd: int) -> Iterator[None]:
    def resize(_number: int = 0, _frame: FrameType | None = None) -> None:
        rows, columns = terminal_size(fd)
        link.send(b"W", rows.to_bytes(2, "big") + columns.to_bytes(2, "big"))

    before = signal.signal(signal.SIGWINCH, resize)
    resize()  # it may have changed before we listened
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)


@contextmanager
def _proxied(send: Callable[[int], None]) -> Iterator[None]:
    """Pass signals to the payload instead of dying of them (docker's --sig-proxy)."""
    before = {number: signal.signal(number, lambda n, _: send(n)) for number in PROXIED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
