"""What all drivers do with a branch directory."""

import errno
import os
from collections.abc import Sequence

from lxcpy.errors import LxcpyError

PRIVATE = "trusted.overlay."  # overlayfs's own attributes; a mount never shows them


def prepare(layers: Sequence[str], upper: str, work: str) -> None:
    """Make the writable branch and the work directory.

    The root directory of a union has the owner, mode and times of its topmost branch: take those
    of the topmost layer.
    """
    try:
        for directory in (upper, work):
            if not os.path.isdir(directory):
                os.mkdir(directory, 0o700)
        if layers:
            copy_metadata(layers[0], upper)
    except OSError as error:
        raise LxcpyError(f"cannot make {error.filename or upper}: {error.strerror}") from error


def copy_metadata(source: str, target: str) -> None:
    """Give a directory the owner, mode, extended attributes and times of another one."""
    found = os.lstat(source)
    os.chown(target, found.st_uid, found.st_gid)
    os.chmod(target, found.st_mode & 0o7777)
    for name, value in attributes(source).items():
        os.setxattr(target, name, value)
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def attributes(path: str) -> dict[str, bytes]:
    """The extended attributes of an entry (symlinks not followed), without overlayfs's own."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
        return {
            name: os.getxattr(path, name, follow_symlinks=False)
            for name in names
            if not name.startswith(PRIVATE)
        }
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENODATA, errno.ENOENT):
            return {}
        raise
