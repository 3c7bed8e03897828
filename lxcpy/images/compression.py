"""Compressed input: known by its first bytes, unpacked by the usual programs on another core."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from lxcpy import shell
from lxcpy.errors import CommandError, LxcpyError
from lxcpy.images.streams import PIECE, Readable

MAGIC = {
    b"\x1f\x8b": "gzip",  # RFC 1952
    b"\xfd7zXZ\0": "xz",  # the .xz file format, 2.1.1.1
    b"\x28\xb5\x2f\xfd": "zstd",  # RFC 8878
    b"BZh": "bzip2",
}
LONGEST = max(map(len, MAGIC))
PIPE_SIZE = 1 << 20  # what an ordinary user may ask for, pipe(7)


@contextmanager
def decompressed(fd: int) -> Iterator[Readable]:
    """A forward-only stream of what a file or pipe holds, from where it stands.

    Raises LxcpyError when the data is damaged, at the latest when its end is read.
    """
    with ExitStack() as stack:
        head, seekable = _peek(fd)
        program = next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)
        if program is None:
            yield _Plain(fd, b"" if seekable else head)
            return
        feeder = None if seekable else _Feeder(head, fd)
        source = feeder.out if feeder else fd
        try:
            out = stack.enter_context(shell.reading([program, "-dc"], source))
        finally:
            if feeder:
                os.close(feeder.out)
        if feeder:
            stack.callback(feeder.stop)
        _widen(out)
        yield _Unpacked(out, program, stack)


class _Plain:
    def __init__(self, fd: int, head: bytes) -> None:
        self._fd = fd
        self._head = head

    def read(self, size: int, /) -> bytes:
        data, self._head = self._head[:size], self._head[size:]
        return data or os.read(self._fd, size)


class _Unpacked:
    def __init__(self, fd: int, program: str, stack: ExitStack) -> None:
        self._fd = fd
        self._program = program
        self._stack = stack
        self._ended = False

    def read(self, size: int, /) -> bytes:
        data = b"" if self._ended else os.read(self._fd, size)
        if not data and not self._ended:
            self._ended = True
            self._finish()
        return data

    def _finish(self) -> None:
        """Hear of a damaged stream before somebody takes its end for the end of the data."""
        try:
            self._stack.close()
        except CommandError as error:
            raise LxcpyError(
                f"the {self._program} data is damaged: {error.message}", details=error.details
            ) from error


def _peek(fd: int) -> tuple[bytes, bool]:
    """The first bytes, and whether they are still to be read from the descriptor."""
    try:
        return os.pread(fd, LONGEST, os.lseek(fd, 0, os.SEEK_CUR)), True
    except OSError:  # ESPIPE: a pipe, a socket or a terminal
        head = b""
    while len(head) < LONGEST and (data := os.read(fd, LONGEST - len(head))):
        head += data
    return head, False


class _Feeder:
    """A pipe, `out`, that gives `head` and then what `fd` gives, filled by a thread.

    The thread is never waited for: it may hang in a read of a slow download. So it has a descriptor
    of its own, and it cannot keep the process from exiting.
    """

    def __init__(self, head: bytes, fd: int) -> None:
        from threading import Lock, Thread

        self.out, self._into = os.pipe()
        _widen(self._into)
        self._lock = Lock()
        self._over = False
        Thread(target=self._feed, args=(head, os.dup(fd)), daemon=True).start()

    def _feed(self, data: bytes, fd: int) -> None:
        with suppress(OSError):  # EPIPE: the program ended; a failed read: it will miss the rest
            while data and not self._over:
                view = memoryview(data)
                while view:
                    view = view[os.write(self._into, view) :]
                data = os.read(fd, PIECE)
        with self._lock:
            self._over = True
            os.close(self._into)
        os.close(fd)

    def stop(self) -> None:
        """Let the program see the end of its input, though the thread may hang in a read.

        The number stays in use until the thread closes it, else it could write elsewhere.
        """
        with self._lock:
            if not self._over:
                self._over = True
                null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
                os.dup2(null, self._into, inheritable=False)
                os.close(null)


def _widen(pipe: int) -> None:
    """64 KiB at a time make the two sides wait for each other too often."""
    import fcntl

    with suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
