"""A tar becomes a branch: names are checked, whiteouts translated, nothing leaves the target.

A tar comes from a stranger and we are root. Files are made new, below descriptors of directories
that were reached without following a link out (see tree), and dressed through their own descriptor.
"""

import errno
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from lxcpy.errors import LxcpyError
from lxcpy.images import header
from lxcpy.images.header import Member, Region, read_member, show
from lxcpy.images.split import Compressor, IndexWriter
from lxcpy.images.streams import PIECE, Readable, Source, Worker
from lxcpy.images.tree import Directory, Tree, join
from lxcpy.model import BranchFormat

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
INTERNAL = b".wh..wh."  # AUFS's own: its hard link store and orphans
FORBIDDEN_XATTRS = (b"trusted.overlay.", b"user.overlay.")  # could forge whiteouts and redirects
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
NODES = {
    header.CHARACTER: stat.S_IFCHR,
    header.BLOCK_DEVICE: stat.S_IFBLK,
    header.FIFO: stat.S_IFIFO,
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What a tar may ask of us; the defaults stop nonsense, not big images."""

    max_bytes: int = 1 << 40  # of the tar
    max_entries: int = 10_000_000
    max_path: int = 4095  # bytes; the kernel's PATH_MAX less the final zero
    max_depth: int = 256


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Unpacked:
    diff_id: str  # sha256:<hex> of all bytes of the tar
    size: int  # bytes of file content
    entries: int


def unpack(
    stream: Readable,
    target: str,
    branch_format: BranchFormat,
    *,
    index: BinaryIO | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Unpacked:
    """Unpack an uncompressed tar into an empty directory, as a branch of the union file system.

    `stream` is read to its end, forward only. `index` gets what `split.rebuild` needs to make the
    same tar again. Raises LxcpyError for a tar that is damaged, leaves the target or is beyond
    the limits; what was unpacked until then is the caller's to delete. Owners are kept for root
    only.
    """
    import hashlib

    digest = hashlib.sha256()
    with Worker() as worker, Tree(target, follow=True, make=True) as tree:
        compressor = Compressor(index) if index is not None else None
        writer = IndexWriter(lambda data: worker.do(compressor.write, data)) if compressor else None
        source = Source(
            stream,
            each=lambda piece: worker.do(digest.update, piece),
            keep=writer.raw if writer else len,
            limit=limits.max_bytes,
        )
        work = _Unpacking(source, tree, target, branch_format, writer, limits)
        work.run()
        if writer and compressor:
            writer.end()
            worker.do(compressor.end, None)
        try:
            worker.finish()
        except OSError as error:
            raise LxcpyError(f"cannot write a layer's index: {error.strerror}") from error
    return Unpacked(f"sha256:{digest.hexdigest()}", work.size, work.entries)


class _Unpacking:
    """One run of `unpack`."""

    def __init__(
        self,
        source: Source,
        tree: Tree,
        target: str,
        branch_format: BranchFormat,
        index: IndexWriter | None,
        limits: Limits,
    ) -> None:
        self.source = source
        self.tree = tree
        self.target = target
        self.branch_format = branch_format
        self.index = index
        self.limits = limits
        self.owners = os.geteuid() == 0
        self.size = 0
        self.entries = 0
        self.files: dict[bytes, tuple[int, tuple[Region, ...]]] = {}  # for the index: who is where
        self.directories: dict[bytes, Member] = {}
        self.whiteouts: dict[tuple[bytes, bytes], None] = {}  # a dict keeps the order
        self.makers: dict[bytes, Callable[[Member, Directory, bytes], None]] = {
            header.LINK: self._link,
            header.SYMLINK: self._symlink,
            header.CHARACTER: self._node,
            header.BLOCK_DEVICE: self._node,
            header.FIFO: self._node,
        }

    def run(self) -> None:
        shared: header.Pax = {}
        while (member := self._read(shared)) is not None:
            self.entries += 1
            self.source.context = show(member.name)
            try:
                self._check(member)
                self._unpack(member)
                self.source.skip(-member.data % header.BLOCK)
            except (OSError, ValueError, OverflowError) as error:
                raise self._error(member.name, error) from error
        self.source.context = "the trailer"
        try:
            self.source.drain()
        except OSError as error:
            raise LxcpyError(f"cannot read the tar: {error.strerror}") from error
        self._finish()

    def _read(self, shared: header.Pax) -> Member | None:
        at = self.source.offset
        try:
            return read_member(self.source.take, shared)
        except ValueError as error:
            if not self.entries:
                raise LxcpyError(
                    f"the input is not a tar archive: {error}",
                    hint="it may be compressed in an unknown way, or a file system image",
                ) from error
            raise LxcpyError(f"the tar is damaged at byte {at}: {error}") from error
        except OSError as error:
            raise LxcpyError(f"cannot read the tar: {error.strerror}") from error

    @staticmethod
    def _error(name: bytes, error: Exception) -> LxcpyError:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        hint = None
        if isinstance(error, OSError) and error.errno == errno.EPERM:
            hint = "owners, devices and some attributes need root"
        elif name.startswith(b"/"):
            hint = "make the tar with relative names: tar -C DIRECTORY -c ."
        return LxcpyError(f"cannot unpack {show(name)}: {reason}", hint=hint)

    def _check(self, member: Member) -> None:
        name = member.name
        if name[0] == 47:  # "/"
            raise ValueError("its name is absolute")
        if len(name) > self.limits.max_path:
            raise ValueError(f"its path is longer than {self.limits.max_path} bytes")
        if name.count(b"/") > self.limits.max_depth:
            raise ValueError(f"it lies more than {self.limits.max_depth} directories deep")
        if self.entries > self.limits.max_entries:
            raise ValueError(f"the tar has more than {self.limits.max_entries} entries")

    def _unpack(self, member: Member) -> None:
        parent, _, base = member.name.rstrip(b"/").rpartition(b"/")
        while base == b"." and parent:
            parent, _, base = parent.rpartition(b"/")
        if member.kind == header.LABEL:
            return
        if base == b"..":
            raise ValueError("its path leads out of the root" if not parent else "it ends in ..")
        if INTERNAL in member.name and self._is_internal(member.name):
            self.source.skip(member.data)
            return
        where = self.tree.directory(parent)
        if base in (b"", b"."):
            self._root(member)
        elif base.startswith(WHITEOUT):
            self._whiteout(where, base)
            self.source.skip(member.data)
        elif member.kind == header.FILE:
            self._file(member, where, base)
        elif member.kind == header.DIRECTORY:
            self._directory(member, where, base)
            self.source.skip(member.data)
        else:
            self.makers[member.kind](member, where, base)

    @staticmethod
    def _is_internal(name: bytes) -> bool:
        parts = name.split(b"/")
        return any(part.startswith(INTERNAL) and part != OPAQUE for part in parts)

    def _root(self, member: Member) -> None:
        if member.kind != header.DIRECTORY:
            raise ValueError("the root must be a directory")
        self.directories[b""] = member
        self.source.skip(member.data)

    def _file(self, member: Member, where: Directory, name: bytes) -> None:
        try:
            fd = os.open(name, NEW, 0o600, dir_fd=where.fd)
        except FileExistsError:
            where = self._remove(where, name)
            fd = os.open(name, NEW, 0o600, dir_fd=where.fd)
        try:
            if self.index and any(length for _, length in member.regions):
                path = join(where.path, name)
                self.files[path] = self.index.content(path, member.regions), member.regions
            for offset, length in member.regions:
                self.source.copy(fd, offset=offset, length=length)
            if member.size != member.data:  # sparse: a hole may be the last piece
                os.ftruncate(fd, member.size)
            self._dress(fd, member)
        finally:
            os.close(fd)
        self.size += member.data

    def _directory(self, member: Member, where: Directory, name: bytes) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=where.fd)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(name, dir_fd=where.fd).st_mode):
                where = self._remove(where, name)
                os.mkdir(name, 0o700, dir_fd=where.fd)
        self.directories[join(where.path, name)] = member

    def _link(self, member: Member, where: Directory, name: bytes) -> None:
        target = member.link
        parent, _, base = target.rpartition(b"/")
        if target.startswith(b"/") or base in (b"", b".", b".."):
            raise ValueError(f"it is a hard link to {show(target)}, which is no relative file name")
        self.tree.make = False  # where a directory is missing there is no file either
        try:
            there = self.tree.directory(parent).path
            if (there, base) != (where.path, name):
                self._create(where, name, lambda fd: os.link(
                    base, name, src_dir_fd=self.tree.directory(there).fd, dst_dir_fd=fd,
                    follow_symlinks=False,
                ))  # fmt: skip
        except FileNotFoundError as error:
            raise ValueError(f"it is a hard link to {show(target)}, which is not there") from error
        finally:
            self.tree.make = True

    def _symlink(self, member: Member, where: Directory, name: bytes) -> None:
        self._create(where, name, lambda fd: os.symlink(member.link, name, dir_fd=fd))
        self._dress_entry(member, where, name)

    def _node(self, member: Member, where: Directory, name: bytes) -> None:
        if member.kind == header.CHARACTER and member.device == (0, 0):
            raise ValueError("a character device 0:0 is a deletion mark of overlayfs")
        device = os.makedev(*member.device)
        mode = NODES[member.kind] | 0o600
        self._create(where, name, lambda fd: os.mknod(name, mode, device, dir_fd=fd))
        self._dress_entry(member, where, name)

    def _create(self, where: Directory, name: bytes, make: Callable[[int], None]) -> None:
        """Make an entry; the last one of a name wins."""
        try:
            make(self.tree.directory(where.path).fd)
        except FileExistsError:
            make(self._remove(where, name).fd)

    def _remove(self, where: Directory, name: bytes) -> Directory:
        where = self.tree.directory(where.path)
        self.tree.remove(where, name, gone=self._gone)
        self.tree.forget()  # what was removed may be, or lead to, an open directory
        return self.tree.directory(where.path)

    def _gone(self, where: Directory, name: bytes) -> None:
        """Save for the index what a later entry replaces."""
        path = join(where.path, name)
        self.directories.pop(path, None)
        if self.index is None or (known := self.files.pop(path, None)) is None:
            return
        number, regions = known
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=where.fd)
        try:
            for offset, length in regions:
                for at in range(offset, offset + length, PIECE):
                    self.index.kept(number, os.pread(fd, min(PIECE, offset + length - at), at))
        finally:
            os.close(fd)

    def _whiteout(self, where: Directory, name: bytes) -> None:
        """Remember a whiteout until the end, since it hides what is below, never this layer's own.

        (OCI image spec 1.1, layer.md, "Whiteouts"; the order of the entries does not matter.)
        """
        if name == OPAQUE:
            self.whiteouts[where.path, b""] = None
        elif name in (WHITEOUT, WHITEOUT + b".", WHITEOUT + b".."):
            raise ValueError("a whiteout that names nothing")
        else:
            self.whiteouts[where.path, name[len(WHITEOUT) :]] = None

    def _finish(self) -> None:
        self.tree.follow = self.tree.make = False
        for path, name in self.whiteouts:
            try:
                self._hide(path, name)
            except OSError as error:
                raise self._error(join(path, WHITEOUT + name), error) from error
        deepest_first = sorted(self.directories, key=lambda path: path.count(b"/"), reverse=True)
        for path in deepest_first:
            try:
                self._dress(self.tree.directory(path).fd, self.directories[path])
            except (OSError, OverflowError) as error:
                raise self._error(path, error) from error

    def _hide(self, path: bytes, name: bytes) -> None:
        try:
            where = self.tree.directory(path)
        except (FileNotFoundError, NotADirectoryError):
            return  # a later entry replaced it
        directory = os.path.join(self.target, os.fsdecode(path))
        if not name:
            self.branch_format.make_opaque(directory)
            return
        try:
            mode = os.lstat(name, dir_fd=where.fd).st_mode
        except FileNotFoundError:
            self.branch_format.make_whiteout(directory, os.fsdecode(name))
            return
        if stat.S_ISDIR(mode):  # gone and made anew; any other entry hides what is below by itself
            self.branch_format.make_opaque(os.path.join(directory, os.fsdecode(name)))

    def _dress(self, fd: int, member: Member) -> None:
        """Owner first: chown(2) takes set-uid bits and security.capability away."""
        if self.owners:
            os.fchown(fd, member.uid, member.gid)
        if member.xattrs:
            self._set_xattrs(fd, member, follow=True)
        os.fchmod(fd, member.mode)
        os.utime(fd, ns=(member.mtime_ns, member.mtime_ns))

    def _dress_entry(self, member: Member, where: Directory, name: bytes) -> None:
        """What cannot be opened; nobody else is here to swap the entry that we made."""
        fd = self.tree.directory(where.path).fd
        if self.owners:
            os.chown(name, member.uid, member.gid, dir_fd=fd, follow_symlinks=False)
        if member.xattrs:
            self._set_xattrs(b"/proc/self/fd/%d/%b" % (fd, name), member, follow=False)
        if member.kind != header.SYMLINK:
            os.chmod(name, member.mode, dir_fd=fd)
        times = (member.mtime_ns, member.mtime_ns)
        os.utime(name, ns=times, dir_fd=fd, follow_symlinks=False)

    @staticmethod
    def _set_xattrs(file: int | bytes, member: Member, *, follow: bool) -> None:
        for name, value in member.xattrs.items():
            if name.startswith(FORBIDDEN_XATTRS):
                log.debug("%s: attribute %s is left out", show(member.name), show(name))
                continue
            try:
                os.setxattr(file, name, value, follow_symlinks=follow)
            except OSError as error:
                if error.errno != errno.ENOTSUP:
                    raise
                log.warning("%s: no attribute %s here", show(member.name), show(name))
