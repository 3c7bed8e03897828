"""Small trees for the storage tests: made, changed, compared and patched."""

import os
import shutil
import stat
from collections.abc import Iterable

from lxcpy.model import Change, ChangeKind
from lxcpy.storage.branch import attributes

Snapshot = dict[str, tuple[object, ...]]


def snapshot(top: str) -> Snapshot:
    """Everything that an image keeps of a tree, by path; a directory's times are left out."""
    return {path: _describe(top + path) for path in entries(top)}


def entries(top: str) -> list[str]:
    """The path of every entry, parents first.

    overlayfs lists the whiteouts of a directory that merges with nothing; they have no entry.
    """
    found = [
        f"{directory}/{name}"
        for directory, directories, files in os.walk(top)
        for name in directories + files
    ]
    return sorted(path[len(top) :] for path in found if os.path.lexists(path))


def copy_tree(source: str, target: str) -> None:
    """Copy an entry and what is in it."""
    copy(source, target)
    if _is_directory(source):
        for path in entries(source):
            copy(source + path, target + path)


def _describe(path: str) -> tuple[object, ...]:
    info = os.lstat(path)
    common = (info.st_mode, info.st_uid, info.st_gid, sorted(attributes(path).items()))
    if stat.S_ISDIR(info.st_mode):
        return common
    if stat.S_ISLNK(info.st_mode):
        return (*common, info.st_mtime_ns, os.readlink(path))
    if stat.S_ISREG(info.st_mode):
        with open(path, "rb") as file:
            return (*common, info.st_mtime_ns, file.read())
    return (*common, info.st_mtime_ns, info.st_rdev)


def apply(changes: Iterable[Change], source: str, target: str) -> None:
    """Make in `target` the changes listed, with the entries of `source`; what a layer does."""
    for change in changes:
        there = target + change.path
        if change.kind is ChangeKind.DELETED:
            assert os.path.lexists(there)
            remove(there)
            continue
        assert os.path.lexists(there) == (change.kind is ChangeKind.CHANGED)
        copy(source + change.path, there)


def copy(source: str, target: str) -> None:
    """Copy one entry over what is there; a directory without what is in it."""
    info = os.lstat(source)
    is_directory = stat.S_ISDIR(info.st_mode)
    if os.path.lexists(target) and not (is_directory and _is_directory(target)):
        remove(target)
    if is_directory:
        os.makedirs(target, exist_ok=True)
    elif stat.S_ISLNK(info.st_mode):
        os.symlink(os.readlink(source), target)
    elif stat.S_ISREG(info.st_mode):
        shutil.copyfile(source, target)
    else:
        os.mknod(target, info.st_mode, info.st_rdev)
    os.chown(target, info.st_uid, info.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(info.st_mode):
        os.chmod(target, stat.S_IMODE(info.st_mode))
        for name in attributes(target):
            os.removexattr(target, name)
    for name, value in attributes(source).items():
        os.setxattr(target, name, value, follow_symlinks=False)
    os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)


def _is_directory(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def remove(path: str) -> None:
    if _is_directory(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
