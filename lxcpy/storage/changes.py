"""How a writable branch differs from the branches below it.

The cost grows with the branch, not with the image: the lower branches are asked for one name after
the other, and listed only below an opaque directory.
"""

import os
import stat
from collections.abc import Callable, Generator, Iterator, Sequence

from lxcpy.errors import LxcpyError
from lxcpy.model import BranchFormat, Change, ChangeKind
from lxcpy.storage import union
from lxcpy.storage.compare import is_same

MAX_DEPTH = 500  # a descriptor each, of 1024 by default


def changes(
    branch: BranchFormat,
    layers: Sequence[str],
    upper: str,
    *,
    lower: BranchFormat | None = None,
    complete: bool = False,
    suspect: Callable[[os.stat_result], bool] = lambda _: True,
) -> Iterator[Change]:
    """Changes in the order of names, a directory before its entries; "/" itself is never one.

    Applied to the union of `layers` (top first) they give the union with `upper`. A directory is
    listed when its owner, mode or attributes differ, or as the parent of a change. `branch` is
    the format of `upper`, and of the layers unless `lower` is given. `complete`: the upper tree
    lacks what was deleted. `suspect` tells which files, alike in all their metadata, need a look
    at their bytes.

    The walk holds descriptors, so that a running container cannot lead it out of the branch.
    """
    try:
        fd = os.open(upper, union.DIRECTORY)
        try:
            walk = _Walk(branch, lower or branch, suspect)
            yield from _flatten(walk.directory(fd, "", list(layers), complete=complete))
        finally:
            os.close(fd)
    except OSError as error:
        raise LxcpyError(f"cannot compare {upper} with its image: {error.strerror}") from error


Steps = Generator["Change | Steps", None, None]


def _flatten(first: Steps) -> Iterator[Change]:
    """The changes that a walk yields, and those of the walks that it yields.

    A tree may be deeper than Python lets functions call each other.
    """
    stack = [first]
    try:
        while stack:
            step = next(stack[-1], None)
            if step is None:
                stack.pop()
            elif isinstance(step, Change):
                yield step
            else:
                stack.append(step)
    finally:
        for walk in reversed(stack):  # the innermost first: each closes its descriptor
            walk.close()


class _Walk:
    def __init__(
        self, branch: BranchFormat, lower: BranchFormat, suspect: Callable[[os.stat_result], bool]
    ) -> None:
        self.branch = branch
        self.lower = lower
        self.suspect = suspect
        self.parents: list[Change] = []  # directories to be listed if something in them is

    def directory(self, fd: int, path: str, below: list[str], *, complete: bool) -> Steps:
        """The changes in one open directory; `below` are the lower directories it covers."""
        here = f"/proc/self/fd/{fd}/."
        present, gone = self._read(here)
        if complete:
            gone = {name for name in union.names(self.lower, below) if name not in present}
        for name in sorted(present | gone):
            found, stack = union.merge(self.lower, below, name)
            if name in present:
                yield from self._entry(fd, f"{path}/{name}", found, stack, complete=complete)
            elif found is not None:
                yield from self._emit(ChangeKind.DELETED, f"{path}/{name}")

    def _read(self, here: str) -> tuple[set[str], set[str]]:
        """The names that are in a directory of the upper branch, and those that it hides."""
        present, gone = set(), set()
        for name in os.listdir(here):
            whiteout = self.branch.whiteout_of(f"{here}/{name}")
            if whiteout is not None:
                gone.add(whiteout)
            elif not self.branch.is_internal(name):
                present.add(name)
        return present - gone, gone

    def _entry(
        self,
        fd: int,
        path: str,
        old: os.stat_result | None,
        below: list[str],
        *,
        complete: bool,
    ) -> Steps:
        name = path[path.rindex("/") + 1 :]
        host = f"/proc/self/fd/{fd}/{name}"
        new = union.lstat(host)
        if new is None:  # a running container removed it in between
            return
        try:
            kind = self._compare(host, new, below, old)
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(new.st_mode):
            if kind is not None:
                yield from self._emit(kind, path)
            return
        if old is not None and not stat.S_ISDIR(old.st_mode):
            below = []
        pending = Change(kind or ChangeKind.CHANGED, path)
        if kind is not None:
            yield from self._emit(kind, path)
        else:
            self.parents.append(pending)
        yield self._descend(fd, path, below, complete=complete)
        if self.parents and self.parents[-1] is pending:
            self.parents.pop()

    def _compare(
        self, host: str, new: os.stat_result, below: list[str], old: os.stat_result | None
    ) -> ChangeKind | None:
        if old is None:
            return ChangeKind.ADDED
        same = is_same(host, new, below[0], old, suspect=self.suspect)
        return None if same else ChangeKind.CHANGED

    def _descend(self, fd: int, path: str, below: list[str], *, complete: bool) -> Steps:
        if path.count("/") > MAX_DEPTH:
            raise LxcpyError(f"directories are nested deeper than {MAX_DEPTH}: {path[:100]}...")
        try:
            inner = os.open(path[path.rindex("/") + 1 :], union.DIRECTORY, dir_fd=fd)
        except (FileNotFoundError, NotADirectoryError):  # a running container exchanged it
            return
        try:
            opaque = complete or self.branch.is_opaque(f"/proc/self/fd/{inner}/.")
            yield from self.directory(inner, path, below, complete=opaque)
        finally:
            os.close(inner)

    def _emit(self, kind: ChangeKind, path: str) -> Generator[Change, None, None]:
        yield from self.parents
        self.parents.clear()
        yield Change(kind, path)
