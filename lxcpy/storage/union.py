"""A union of branches, read without mounting it."""

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack

from lxcpy.errors import LxcpyError
from lxcpy.model import BranchFormat, Driver

MAX_LINKS = 40  # as the kernel (path_resolution(7))
PATH_MAX = 4096
READ_LIMIT = 1 << 20
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def view(driver: Driver, layers: Sequence[str], upper: str) -> "Union":
    """What a container sees: its writable branch over its layers; a copy is complete by itself."""
    if driver.name == "copy":
        from lxcpy.storage.whiteouts import PlainFormat

        return Union(PlainFormat(), (upper,))
    return Union(driver, (upper, *layers))


def lstat(path: str) -> os.stat_result | None:
    """The entry at a path, None when there is none (also below what is no directory)."""
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        too_long = error.errno == errno.ENAMETOOLONG
        if too_long and len(os.fsencode(path)) < PATH_MAX:  # one name of more than 255 bytes
            return None
        raise LxcpyError(f"cannot read {path[:200]}: {error.strerror}") from error


def merge(
    branch: BranchFormat, directories: Sequence[str], name: str
) -> tuple[os.stat_result | None, list[str]]:
    """One step down: what `name` is in a directory that consists of `directories`, top first.

    The result is (None, []) for nothing, else the visible entry and its host path; for a directory
    also those below that it merges with. It ends at a whiteout, at an opaque directory, and at
    a non-directory below a directory, as in overlayfs.
    """
    visible: os.stat_result | None = None
    stack: list[str] = []
    if branch.is_internal(name):
        return None, []
    for directory in directories:
        if branch.find_whiteout(directory, name):
            break
        path = f"{directory}/{name}"
        found = lstat(path)
        if found is None or branch.whiteout_of(path) is not None:
            continue
        is_directory = stat.S_ISDIR(found.st_mode)
        if visible is None:
            visible = found
        elif not is_directory:
            break
        stack.append(path)
        if not is_directory or branch.is_opaque(path):
            break
    return visible, stack


def names(branch: BranchFormat, directories: Sequence[str]) -> dict[str, str]:
    """Names and host paths of the visible entries of a directory, unsorted.

    `directories` are what it consists of, top first.
    """
    result: dict[str, str] = {}
    hidden: set[str] = set()
    for directory in directories:
        gone: set[str] = set()
        entries: list[str] = []
        for name in os.listdir(directory):
            whiteout = branch.whiteout_of(f"{directory}/{name}")
            if whiteout is not None:
                gone.add(whiteout)
            elif not branch.is_internal(name):
                entries.append(name)
        hidden |= gone
        for name in entries:
            if name not in hidden:
                result.setdefault(name, f"{directory}/{name}")
    return result


class Union:
    """A read-only view of branches (absolute directories, top first) of one format.

    Symbolic links are resolved inside: an absolute one begins at the union's root, `..` never
    leaves it. The branches' root directories always merge: overlayfs ignores an opaque mark there.
    """

    def __init__(self, branch: BranchFormat, branches: Sequence[str]) -> None:
        self.format = branch
        self.branches = list(branches)

    def lookup(self, path: str) -> str | None:
        """The host path of the entry at an absolute path, None when there is none.

        A link is followed on the way but not at the end.
        """
        stack = self._walk(path, follow=path.endswith(("/", "/.")))[1]
        return stack[0] if stack else None

    def resolve(self, path: str) -> tuple[str, str | None]:
        """The path without links, and its host path (None when there is nothing)."""
        real, stack = self._walk(path, follow=True)
        return real, stack[0] if stack else None

    def children(self, path: str) -> dict[str, str]:
        """Names and host paths of a directory's entries; empty for what is no directory."""
        stack = self._walk(path, follow=True)[1]
        if not stack or not os.path.isdir(stack[0]) or os.path.islink(stack[0]):
            return {}
        return names(self.format, stack)

    def read(self, path: str, limit: int = READ_LIMIT) -> bytes | None:
        """The content of a regular file, links followed; None when there is no such file.

        LxcpyError for more than `limit` bytes: the image is a stranger's.
        """
        host = self.resolve(path)[1]
        if host is None:
            return None
        try:
            fd = self._open(host)
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ELOOP, errno.ENOENT, errno.ENOTDIR):
                return None  # a socket, or a running container changed it in between
            raise LxcpyError(f"cannot read {path}: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            return None
        with open(fd, "rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise LxcpyError(f"{path} is larger than {limit} bytes")
        return data

    def make_directory(self, path: str, *, uid: int = 0, gid: int = 0, mode: int = 0o755) -> None:
        """Make a directory and its missing parents in the topmost branch, links followed inside.

        Parents that only lower branches have are copied up. Nothing happens when it is there;
        LxcpyError when a component is no directory.
        """
        stack, steps = self.branches, []
        for name in filter(None, self._walk(path, follow=True)[0].split("/")):
            found, stack = merge(self.format, stack, name)
            if found is not None and not stat.S_ISDIR(found.st_mode):
                raise LxcpyError(f"cannot make directory {path}: {name} is no directory")
            steps.append((name, stack[0] if stack else None))
        if not steps or steps[-1][1] is not None:
            return
        with ExitStack() as opened:
            try:
                fd = _open(self.branches[0], DIRECTORY, opened)
                for name, visible in steps:
                    self._make_step(f"/proc/self/fd/{fd}", name, visible, (uid, gid, mode))
                    fd = _open(name, DIRECTORY, opened, fd)
            except OSError as error:
                raise LxcpyError(f"cannot make directory {path}: {error.strerror}") from error

    def _make_step(
        self, directory: str, name: str, visible: str | None, new: tuple[int, int, int]
    ) -> None:
        """Make one directory in the topmost branch, as the visible one below it or else as new."""
        from lxcpy.storage.branch import copy_metadata

        path = f"{directory}/{name}"
        hidden = self.format.find_whiteout(directory, name)
        if hidden:
            for whiteout in (name, f".wh.{name}"):
                if self.format.whiteout_of(f"{directory}/{whiteout}") == name:
                    os.unlink(f"{directory}/{whiteout}")
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            return
        if hidden:
            self.format.make_opaque(path)
        if visible is not None:
            copy_metadata(visible, path)
            return
        os.chown(path, new[0], new[1], follow_symlinks=False)
        os.chmod(path, new[2])

    def _walk(self, path: str, *, follow: bool) -> tuple[str, list[str]]:
        """The path without links, and the branch entries that make it up."""
        if "\0" in path:
            raise LxcpyError(f"the path {path!r} holds a NUL byte")
        pending = _components(path)
        trail: list[tuple[str, list[str]]] = [("", self.branches)]
        links = 0
        while pending:
            name = pending.pop()
            if name == "..":
                if len(trail) > 1:
                    trail.pop()
                continue
            found, stack = merge(self.format, trail[-1][1], name)
            if found and stat.S_ISLNK(found.st_mode) and (pending or follow):
                links += 1
                if links > MAX_LINKS:
                    raise LxcpyError(f"{path}: too many levels of symbolic links")
                target = _read_link(stack[0])
                if target.startswith("/"):
                    trail = trail[:1]
                pending += _components(target)
                continue
            trail.append((name, stack))
        return "/".join(name for name, _ in trail) or "/", trail[-1][1]

    def _open(self, host: str) -> int:
        """Open an entry of a branch; no component may have become a link since it was found."""
        branch = max((b for b in self.branches if host.startswith(f"{b}/")), key=len)
        *parents, name = host[len(branch) + 1 :].split("/")
        with ExitStack() as opened:
            fd = _open(branch, DIRECTORY, opened)
            for parent in parents:
                fd = _open(parent, DIRECTORY, opened, fd)
            return os.open(name, FILE, dir_fd=fd)


def _open(name: str, flags: int, opened: ExitStack, directory: int | None = None) -> int:
    """Open an entry of an open directory; `opened` will close it."""
    fd = os.open(name, flags, dir_fd=directory)
    opened.callback(os.close, fd)
    return fd


def _components(path: str) -> list[str]:
    """The names of a path, last first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _read_link(host: str) -> str:
    try:
        return os.readlink(host)
    except OSError as error:
        raise LxcpyError(f"cannot read link {host}: {error.strerror}") from error
