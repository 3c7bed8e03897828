"""Directories below a root, reached one step at a time so that nothing leads out of it.

Every step is an openat(2) with O_NOFOLLOW on a descriptor: a symbolic link, also one that appears
while we work, never redirects the kernel. Paths are bytes, relative to the root.
"""

import errno
import os
from collections.abc import Callable
from typing import NamedTuple, Self

STEP = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MAX_OPEN = 200  # of the 1024 descriptors that a process usually has
MAX_LINKS = 40  # the kernel's own limit, path_resolution(7)


class Directory(NamedTuple):
    fd: int
    path: bytes  # without symbolic links; empty for the root


Gone = Callable[[Directory, bytes], object]


def join(directory: bytes, name: bytes) -> bytes:
    return directory + b"/" + name if directory else name


class Tree:
    """An open root with the directories used last.

    `follow` resolves relative symbolic links that stay inside; `make` makes missing directories,
    0755 and the caller's. Errors are OSError, and ValueError for a path that leaves the root.
    """

    def __init__(self, root: str, *, follow: bool = False, make: bool = False) -> None:
        self.follow = follow
        self.make = make
        self.root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._open: dict[bytes, Directory] = {b"": Directory(self.root, b"")}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.forget()
        os.close(self.root)

    def forget(self) -> None:
        """Close what is open, since an entry that led to it was removed."""
        for text in list(self._open):
            self._close(text)
        self._open[b""] = Directory(self.root, b"")

    def directory(self, text: bytes) -> Directory:
        """The directory at a path. Its descriptor is good until some other calls, or `forget`."""
        found = self._open.pop(text, None)
        if found is None:
            found = self._walk(text)
            if len(self._open) >= MAX_OPEN:
                self._close(next(iter(self._open)))
        self._open[text] = found  # at the end: the first is the one used longest ago
        return found

    def _close(self, text: bytes) -> None:
        directory = self._open.pop(text)
        if directory.fd != self.root:
            os.close(directory.fd)

    def _walk(self, text: bytes) -> Directory:
        start, _, last = text.rpartition(b"/")
        near = self._open.get(start)
        if near is None:
            last, near = text, Directory(self.root, b"")
        path = near.path.split(b"/") if near.path else []
        pending = last.split(b"/")[::-1]
        links = 0
        fd = os.dup(near.fd)
        try:
            while pending:
                name = pending.pop()
                if name == b"..":
                    pending += _above(path)  # once more from the root, to the directory above
                    path = []
                    fd = _replace(fd, os.dup(self.root))
                elif name not in (b"", b"."):
                    try:
                        fd = _replace(fd, self._step(fd, name))
                        path.append(name)
                    except NotADirectoryError:
                        links += 1
                        pending += self._link(fd, name, links).split(b"/")[::-1]
        except BaseException:
            os.close(fd)
            raise
        return Directory(fd, b"/".join(path))

    def _step(self, fd: int, name: bytes) -> int:
        try:
            return os.open(name, STEP, dir_fd=fd)
        except FileNotFoundError:
            if not self.make:
                raise
        if name.startswith(b".wh."):
            raise ValueError("a part of its path is a whiteout")
        os.mkdir(name, 0o755, dir_fd=fd)
        made = os.open(name, STEP, dir_fd=fd)
        os.fchmod(made, 0o755)  # the umask is the caller's
        return made

    def _link(self, fd: int, name: bytes, count: int) -> bytes:
        try:
            target = os.readlink(name, dir_fd=fd)
        except OSError:
            target = b""
        if not target or not self.follow:
            raise NotADirectoryError(errno.ENOTDIR, "a part of its path is not a directory")
        if target.startswith(b"/"):
            raise ValueError("its path leads out of the root through a symbolic link")
        if count > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return target

    def remove(self, where: Directory, name: bytes, *, gone: Gone) -> None:
        """Remove an entry with all that is in it; `gone` is told of each one just before."""
        try:
            inner = os.open(name, STEP, dir_fd=where.fd)
        except OSError:
            gone(where, name)
            os.unlink(name, dir_fd=where.fd)
            return
        try:
            here = Directory(inner, join(where.path, name))
            for child in os.listdir(inner):
                self.remove(here, os.fsencode(child), gone=gone)
        finally:
            os.close(inner)
        gone(where, name)
        os.rmdir(name, dir_fd=where.fd)


def _above(path: list[bytes]) -> list[bytes]:
    if not path:
        raise ValueError("its path leads out of the root")
    return path[-2::-1]


def _replace(old: int, new: int) -> int:
    os.close(old)
    return new
