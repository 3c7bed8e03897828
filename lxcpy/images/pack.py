"""The changes of a container become a tar: PAX format, the same bytes for the same files.

The container may run meanwhile. Nothing is followed that it could turn into a link to the host, no
device of it is opened, and a file that changes its size while it is read is cut or filled up.
"""

import errno
import logging
import os
import stat
from collections.abc import Iterable, Iterator

from lxcpy.errors import LxcpyError
from lxcpy.images.archive import FORBIDDEN_XATTRS, WHITEOUT
from lxcpy.images.encode import encode
from lxcpy.images.header import (
    BLOCK,
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    FILE,
    LINK,
    SYMLINK,
    Member,
    Pax,
    Region,
    show,
)
from lxcpy.images.streams import Sink, Writable
from lxcpy.images.tree import Tree, join
from lxcpy.model import Change, ChangeKind

LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
KINDS = {
    stat.S_IFREG: FILE, stat.S_IFDIR: DIRECTORY, stat.S_IFLNK: SYMLINK, stat.S_IFIFO: FIFO,
    stat.S_IFCHR: CHARACTER, stat.S_IFBLK: BLOCK_DEVICE,
}  # fmt: skip
LOST = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # it was there when the changes were listed
END = bytes(2 * BLOCK)

log = logging.getLogger(__name__)


def pack(root: str, changes: Iterable[Change], out: Writable) -> None:
    """Write the tar of some changes; `root` + path is where the added and changed ones lie.

    Directories above a change that are no changes themselves come before it, so that whoever
    unpacks need not invent their owner and mode. Sockets, and what has vanished, are left out.
    Raises LxcpyError, but BrokenPipeError when nobody reads `out` any more.
    """
    sink = Sink(out)
    with Tree(root) as tree:
        work = _Packing(tree, sink)
        for change in changes:
            work.add(change)
    sink.write(END)
    try:
        sink.flush()
    except OSError as error:
        raise _failure("write the tar", error) from error


def _failure(what: str, error: OSError) -> Exception:
    if isinstance(error, BrokenPipeError):
        return error
    return LxcpyError(f"cannot {what}: {error.strerror}")


def everything(root: str) -> Iterator[Change]:
    """A whole tree as added paths, sorted, parents first; what is mounted below it stays out."""
    with Tree(root) as tree:
        device = os.fstat(tree.root).st_dev
        pending = [("", True)]
        while pending:
            path, is_directory = pending.pop()
            yield Change(ChangeKind.ADDED, path or "/")
            if is_directory:
                for name, inner in _children(tree, path, device):
                    pending.append((f"{path}/{name}", inner))


def _children(tree: Tree, path: str, device: int) -> list[tuple[str, bool]]:
    """(name, is it a directory) in falling order; none when it has vanished or is a mount point."""
    try:
        fd = tree.directory(os.fsencode(path[1:])).fd
        if os.fstat(fd).st_dev != device:
            return []
        with os.scandir(fd) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    except OSError as error:
        if error.errno in LOST:
            return []
        raise
    return sorted(found, reverse=True)


class _Packing:
    """One run of `pack`."""

    def __init__(self, tree: Tree, sink: Sink) -> None:
        self.tree = tree
        self.sink = sink
        self.done: set[bytes] = set()  # written, or found to be none of ours to write
        self.links: dict[tuple[int, int], bytes] = {}  # (device, inode) -> its first name

    def add(self, change: Change) -> None:
        path = os.fsencode(change.path).strip(b"/")
        parent, _, name = path.rpartition(b"/")
        if parent and parent not in self.done:
            self._parents(parent)
        if change.kind is ChangeKind.DELETED:
            name = join(parent, WHITEOUT + name)
            member = Member(name, FILE, 0o600, 0, 0, 0, b"", (0, 0), 0, 0, (), {})
            self.sink.write(encode(member, {}))
        elif path not in self.done:
            self._try(path)

    def _parents(self, path: bytes) -> None:
        at = 0
        while at >= 0:
            at = path.find(b"/", at + 1)
            directory = path[:at] if at >= 0 else path
            if directory not in self.done:
                self._try(directory)

    def _try(self, path: bytes) -> None:
        self.done.add(path)
        try:
            self._entry(path)
        except OSError as error:
            if error.errno not in LOST:
                raise _failure(f"pack {show(path)}", error) from error
            log.debug("%s vanished", show(path))

    def _entry(self, path: bytes) -> None:
        parent, _, name = path.rpartition(b"/")
        if name.startswith(WHITEOUT):
            log.warning("%s is left out: in a layer its name means a deletion", show(path))
            return
        fd = os.open(name or b".", LOOK, dir_fd=self.tree.directory(parent).fd)
        try:
            self._write(path, fd, os.fstat(fd))
        finally:
            os.close(fd)

    def _write(self, path: bytes, fd: int, info: os.stat_result) -> None:
        kind = KINDS.get(stat.S_IFMT(info.st_mode))
        if kind is None or (kind == CHARACTER and info.st_rdev == 0):
            log.debug("%s is left out: a socket or a deletion mark", show(path))
        elif kind == DIRECTORY:
            self._header((path or b".") + b"/", kind, info, xattrs=_xattrs(path, fd))
        elif info.st_nlink > 1 and self._known(path, info) != path:
            first = self.links[info.st_dev, info.st_ino]
            self._header(path, LINK, info, xattrs={}, link=first)
        elif kind == FILE:
            self._file(path, fd, info)
        else:
            link = os.readlink(b"", dir_fd=fd) if kind == SYMLINK else b""
            self._header(path, kind, info, xattrs=_xattrs(path, fd), link=link)

    def _known(self, path: bytes, info: os.stat_result) -> bytes:
        return self.links.setdefault((info.st_dev, info.st_ino), path)

    def _file(self, path: bytes, fd: int, info: os.stat_result) -> None:
        size = info.st_size
        xattrs = _xattrs(path, fd)
        if not size:
            self._header(path, FILE, info, xattrs=xattrs)
            return
        opened = os.open(b"/proc/self/fd/%d" % fd, READ)
        try:
            regions = [Region(0, size)]
            if info.st_blocks * BLOCK < size:  # it may be sparse, or compressed
                regions = _regions(opened, size)
            if regions == [Region(0, size)]:
                self._header(path, FILE, info, xattrs=xattrs, size=size)
            else:
                size = self._sparse_header(path, info, xattrs=xattrs, regions=regions)
            for offset, length in regions:
                lacking = self.sink.copy(opened, offset=offset, length=length)
                if lacking:
                    log.warning("%s shrank by %d bytes while it was read", show(path), lacking)
                self._fill(lacking)
            self._fill(-size % BLOCK)
        finally:
            os.close(opened)

    def _sparse_header(
        self, path: bytes, info: os.stat_result, *, xattrs: Pax, regions: list[Region]
    ) -> int:
        """Format 1.0 of GNU tar; gives the size of the member."""
        ends = regions[-1].offset + regions[-1].length if regions else 0
        closed = [*regions, Region(info.st_size, 0)] if ends < info.st_size else regions
        numbers = [len(closed)] + [number for region in closed for number in region]
        sparse_map = b"".join([b"%d\n" % number for number in numbers])
        sparse_map += bytes(-len(sparse_map) % BLOCK)
        size = len(sparse_map) + sum(region.length for region in regions)
        parent, _, name = path.rpartition(b"/")
        alias = b"/".join([parent or b".", b"GNUSparseFile.0", name])
        records = {
            b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0",
            b"GNU.sparse.name": path, b"GNU.sparse.realsize": b"%d" % info.st_size,
        }  # fmt: skip
        self._header(alias, FILE, info, xattrs=xattrs, size=size, records=records)
        self.sink.write(sparse_map)
        return size

    def _fill(self, size: int) -> None:
        while size > 0:
            step = min(size, 1 << 20)
            self.sink.write(bytes(step))
            size -= step

    def _header(
        self,
        name: bytes,
        kind: bytes,
        info: os.stat_result,
        *,
        xattrs: Pax,
        size: int = 0,
        link: bytes = b"",
        records: Pax | None = None,
    ) -> None:
        device = os.major(info.st_rdev), os.minor(info.st_rdev)
        member = Member(
            name, kind, info.st_mode & 0o7777, info.st_uid, info.st_gid, info.st_mtime_ns, link,
            device, info.st_size, size, (), xattrs,
        )  # fmt: skip
        self.sink.write(encode(member, records or {}))


def _regions(fd: int, size: int) -> list[Region]:
    """Where a file has data, by lseek(2) SEEK_DATA and SEEK_HOLE."""
    regions = []
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break  # only a hole is left
            raise
        at = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        if start < at:
            regions.append(Region(start, at - start))
        else:
            break  # it grew behind the size that we know
    return regions


def _xattrs(name: bytes, fd: int) -> Pax:
    """The extended attributes, sorted; union file systems keep theirs."""
    path = b"/proc/self/fd/%d" % fd  # f*xattr(2) take no O_PATH descriptor
    found: Pax = {}
    try:
        for key in sorted(os.listxattr(path)):
            raw = os.fsencode(key)
            if raw.startswith(FORBIDDEN_XATTRS):
                continue
            if b"=" in raw:
                log.warning("%s: attribute %s does not fit into a tar", show(name), show(raw))
                continue
            found[raw] = os.getxattr(path, key)
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.ENODATA):
            raise
    return found
