"""Records on disk (versioned JSON, written atomically) and locks; the only importer of filelock."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

from lxcpy.errors import LxcpyError

FORMAT = 1  # of every record below root and runroot
LOCK_TIMEOUT_S = 60.0

Record = dict[str, Any]


def write_file(path: str, data: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Put a file in place whole or not at all.

    `durable` adds the two fsyncs (file, then directory) that make it survive a power cut: for all
    that a user is told is done.
    """
    directory, name = os.path.split(path)
    temporary = f"{directory}/.{name}.{os.getpid()}"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        try:
            write_all(fd, data)
            os.fchmod(fd, mode)  # the umask is the caller's
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
        if durable:
            sync_directory(directory)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)
        raise LxcpyError(f"cannot write {path}: {error.strerror}") from error


def write_all(fd: int, data: bytes) -> None:
    """Write all of the data: write(2) may take less than it is given."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync_directory(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_record(path: str, record: Record, *, durable: bool = True) -> None:
    """Write a record with its format version; see `write_file`."""
    text = json.dumps({"version": FORMAT, **record}, separators=(",", ":"))
    write_file(path, text.encode() + b"\n", durable=durable)


def read_record(path: str) -> Record | None:
    """A record, or None when there is none; a broken or newer one is an error that names it."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise LxcpyError(f"cannot read {path}: {error.strerror}") from error
    return parse_record(path, data)


def parse_record(path: str, data: bytes) -> Record:
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise LxcpyError(
            f"{path} is damaged: {error}", hint="only this object is hurt; the others work"
        ) from error
    if not isinstance(record, dict) or not isinstance(record.get("version"), int):
        raise LxcpyError(f"{path} is damaged: it is no lxcpy record")
    if record["version"] > FORMAT:
        raise LxcpyError(
            f"{path} has format {record['version']}, this lxcpy knows {FORMAT}",
            hint="it was written by a newer lxcpy: update this one",
        )
    return cast(Record, record)


@contextmanager
def lock(path: str, *, what: str, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Hold the lock file `path`; `what` names the guarded thing in the error after the timeout.

    It is a flock(2), which the kernel drops when its holder dies. Without contention it costs two
    system calls; only who has to wait pays for the import of filelock, whose format (a flock on
    the whole file, void once the file is unlinked) this is.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if _is_free(fd) and _is_file(fd, path):
            yield
            return
    finally:
        os.close(fd)
    from filelock import FileLock, Timeout

    waiting = FileLock(path, timeout=timeout_s, poll_interval=0.01)
    try:
        waiting.acquire()
    except Timeout:
        holder = _holder(path)
        raise LxcpyError(
            f"{what} is busy: process {holder or 'unknown'} held its lock for {timeout_s:.0f} s",
            hint=f"look at it with: ps -fp {holder}" if holder else None,
        ) from None
    try:
        yield
    finally:
        waiting.release()


def discard_lock(path: str) -> None:
    """Remove a lock file while holding it, with the thing that it guarded."""
    with suppress(FileNotFoundError):
        os.unlink(path)


def _is_free(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_file(fd: int, path: str) -> bool:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    here = os.fstat(fd)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _holder(path: str) -> int | None:
    """The process that holds a flock, from /proc/locks (proc(5))."""
    try:
        inode = os.stat(path).st_ino
        with open("/proc/locks", encoding="ascii") as file:
            for line in file:
                fields = line.split()
                if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == str(inode):
                    return int(fields[4])
    except (OSError, ValueError, IndexError):
        pass
    return None
