"""Reading a container's log: CRI lines `TIME STREAM P|F DATA`, as the monitor writes them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from lxcpy.errors import LxcpyError

BLOCK = 1 << 20


@dataclass(frozen=True)
class Piece:
    """Output of one stream, with the bytes exactly as the payload wrote them."""

    stream: str  # stdout or stderr
    data: bytes


def read(path: str) -> Iterator[Piece]:
    """All of a log in order; neighbouring lines of one stream come in one piece.

    A line marked P has no newline of its own: the payload had not ended it yet.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        raise LxcpyError(f"cannot read the log {path}: {error.strerror}") from error
    rest = b""
    try:
        while data := os.read(fd, BLOCK):
            lines = (rest + data).split(b"\n")
            rest = lines.pop()  # a line that is being written; it comes with the next block
            yield from _pieces(lines)
    finally:
        os.close(fd)


def _pieces(lines: list[bytes]) -> Iterator[Piece]:
    current = b""
    parts: list[bytes] = []
    for line in lines:
        fields = line.split(b" ", 3)
        if len(fields) != 4:
            continue  # a line cut short by a crash or a full disk
        _, stream, tag, data = fields
        if stream != current and parts:
            yield Piece(current.decode(), b"".join(parts))
            parts = []
        current = stream
        parts.append(data)
        if tag == b"F":
            parts.append(b"\n")
    if parts:
        yield Piece(current.decode(), b"".join(parts))
