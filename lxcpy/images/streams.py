"""Forward-only streams: a source that is hashed on the way, a sink that collects small pieces."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, Self

from lxcpy.errors import LxcpyError

if TYPE_CHECKING:
    from queue import Queue
    from threading import Thread

PIECE = 1 << 20
WAITING = 8  # pieces that may wait for the worker: bounds the memory


class Readable(Protocol):
    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""


class Writable(Protocol):
    def write(self, data: bytes, /) -> int | None: ...


class Worker:
    """A thread that does one thing after another, for what lets go of the interpreter lock.

    The first error stops the work and is raised by `finish`.
    """

    _queue: "Queue[tuple[Callable[[Any], object], Any] | None]"
    _thread: "Thread"

    def __init__(self) -> None:
        from queue import Queue
        from threading import Thread

        self._queue = Queue(WAITING)
        self._error: OSError | None = None
        self._thread = Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            act, argument = item
            if self._error is None:
                try:
                    act(argument)
                except OSError as error:
                    self._error = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def do(self, act: Callable[[Any], object], argument: object) -> None:
        self._queue.put((act, argument))

    def finish(self) -> None:
        """Wait for all that was ordered, and raise what went wrong with it."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        if self._error is not None:
            raise self._error

    def __exit__(self, *_error: object) -> None:
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()


class Source:
    """The bytes of a tar in order. `each` gets every piece as it comes, `keep` all that is taken.

    Content that goes straight into a file is not kept. After `limit` bytes it is an error.
    """

    def __init__(
        self,
        stream: Readable,
        *,
        each: Callable[[bytes], object],
        keep: Callable[[bytes], object],
        limit: int,
    ) -> None:
        self._read = stream.read
        self._each = each
        self._keep = keep
        self._limit = limit
        self._piece = b""
        self._at = 0
        self._before = 0  # bytes in earlier pieces
        self.context = "the first header"

    @property
    def offset(self) -> int:
        return self._before + self._at

    def _next(self) -> bool:
        self._before += len(self._piece)
        self._at = 0
        self._piece = self._read(PIECE)
        if self._before + len(self._piece) > self._limit:
            raise LxcpyError(f"the tar has more than {self._limit} bytes, the limit")
        if self._piece:
            self._each(self._piece)
        return bool(self._piece)

    def _need(self) -> None:
        if not self._next():
            if not self._before:
                raise LxcpyError("there is no tar: the input is empty")
            raise LxcpyError(
                f"the tar is damaged: it ends after {self._before} bytes, in {self.context}",
                hint="the file or the transfer was cut short: get it again",
            )

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes, which are kept."""
        end = self._at + size
        if end <= len(self._piece):
            data = self._piece[self._at : end]
            self._at = end
        else:
            data = self._gather(size)
        self._keep(data)
        return data

    def _gather(self, size: int) -> bytes:
        parts = []
        while size:
            if self._at == len(self._piece):
                self._need()
            part = self._piece[self._at : self._at + size]
            self._at += len(part)
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def copy(self, fd: int, *, offset: int, length: int) -> None:
        """Write the next bytes into a file at an offset."""
        while length:
            if self._at == len(self._piece):
                self._need()
            view = memoryview(self._piece)[self._at : self._at + length]
            done = os.pwrite(fd, view, offset)
            self._at += done
            offset += done
            length -= done

    def skip(self, length: int) -> None:
        """Pass over bytes, which are kept."""
        while length:
            step = min(length, PIECE)
            self.take(step)
            length -= step

    def drain(self) -> None:
        """Everything to the end, which is kept."""
        while True:
            self._keep(self._piece[self._at :])
            self._at = len(self._piece)
            if not self._next():
                return


class Sink:
    """Collects pieces for an object with `write`, which may be raw and take only a part."""

    def __init__(self, out: Writable) -> None:
        self._out = out
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size >= PIECE:
            self.flush()

    def flush(self) -> None:
        data = b"".join(self._parts) if len(self._parts) > 1 else b"".join(self._parts[:1])
        self._parts.clear()
        self._size = 0
        done = self._out.write(data) if data else None
        while done is not None and done < len(data):
            data = data[done:]
            done = self._out.write(data)

    def copy(self, fd: int, *, offset: int, length: int) -> int:
        """Write a range of a file; gives the bytes that it lacked."""
        while length:
            data = os.pread(fd, min(length, PIECE), offset)
            if not data:
                break
            self.write(data)
            offset += len(data)
            length -= len(data)
        return length


class Tee:
    """Writes on to `out` and shows every piece to `each`."""

    def __init__(self, out: Writable, each: Callable[[bytes], object]) -> None:
        self._out = out
        self._each = each

    def write(self, data: bytes) -> int | None:
        done = self._out.write(data)
        self._each(data if done is None else data[:done])
        return done
