"""Facts of the kernel: the clock, /proc and /sys. What is derived here is never stored."""

import os
import time
from functools import cache


def now() -> str:
    """The time in RFC 3339, UTC, with nanoseconds."""
    second, nanosecond = divmod(time.time_ns(), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{nanosecond:09d}Z"


@cache
def boot_id() -> str:
    """The random id of this boot (proc(5)): tells a record of this boot from an older one."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def start_time(pid: int) -> int | None:
    """Start of a process in clock ticks since boot; None when it is gone or a zombie.

    A pid alone is no identity, since pids are used again; a pid with its start time is one.
    Field 22 of /proc/PID/stat (proc(5)), counted after the last ')': a command name may hold
    blanks and brackets.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in b"ZX" else int(fields[19])


def alive(pid: int, started: int) -> bool:
    """Whether the very process that had this pid at this start time still runs."""
    return start_time(pid) == started


def open_process(pid: int, started: int) -> int | None:
    """A pidfd for that very process, None when it is gone: safe to signal, polls at its end."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if alive(pid, started):
        return pidfd
    os.close(pidfd)
    return None


def is_cgroup2() -> bool:
    """Whether the host runs the unified hierarchy alone (cgroups(7)); hybrid hosts are v1."""
    return os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def cgroup_roots() -> list[str]:
    """The mount point of every cgroup hierarchy of the host."""
    if is_cgroup2():
        return ["/sys/fs/cgroup"]
    with os.scandir("/sys/fs/cgroup") as entries:
        return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]


def filesystems() -> set[str]:
    """The file system types that the kernel knows at the moment (modules may add more)."""
    with open("/proc/filesystems", encoding="ascii") as file:
        return {line.split()[-1] for line in file}
