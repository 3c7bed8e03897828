"""Whether two entries are the same in everything that an image keeps."""

import os
import stat
from collections.abc import Callable

from lxcpy.storage import union
from lxcpy.storage.branch import attributes

CHUNK = 1 << 20


def is_same(
    path: str,
    found: os.stat_result,
    other_path: str,
    other: os.stat_result,
    *,
    suspect: Callable[[os.stat_result], bool],
) -> bool:
    """Compare metadata first, and the bytes of a file only when all of it is alike.

    For a directory owner, mode and attributes count: its times change with its entries. `suspect`
    tells whether the bytes of a file need a look.
    """
    if _metadata(path, found) != _metadata(other_path, other):
        return False
    if attributes(path) != attributes(other_path):
        return False
    if not stat.S_ISREG(found.st_mode) or not suspect(found):
        return True
    return _is_same_content(path, other_path)  # touch -r can set the time back


def _metadata(path: str, found: os.stat_result) -> tuple[object, ...]:
    owner = (found.st_mode, found.st_uid, found.st_gid)
    if stat.S_ISDIR(found.st_mode):
        return owner
    is_device = stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)
    target = os.readlink(path) if stat.S_ISLNK(found.st_mode) else None
    device = found.st_rdev if is_device else None
    return (*owner, found.st_size, found.st_mtime_ns, device, target)


def _is_same_content(path: str, other_path: str) -> bool:
    with open(path, "rb", 0, opener=_open) as one, open(other_path, "rb", 0, opener=_open) as two:
        if not all(stat.S_ISREG(os.fstat(file.fileno()).st_mode) for file in (one, two)):
            return False
        while True:
            chunk = one.read(CHUNK)
            if chunk != two.read(CHUNK):
                return False
            if not chunk:
                return True


def _open(path: str, _: int) -> int:
    return os.open(path, union.FILE)
