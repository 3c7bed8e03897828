"""A plain copy of the image, for file systems that carry no union."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress

from lxcpy.errors import LxcpyError
from lxcpy.model import Change, Mount
from lxcpy.storage import options
from lxcpy.storage.whiteouts import AufsFormat


class Copy(AufsFormat):
    """Layers hold .wh. names as plain files; `upper` is the whole tree of the container."""

    name = "copy"

    def probe(self, scratch: str) -> str | None:
        from lxcpy.storage.probe import probe

        return probe(self, scratch)

    def mount(self, layers: Sequence[str], upper: str, work: str, target: str) -> Mount:
        command = (*options.MOUNT[:-1], "--bind", upper, target)
        return Mount(os.path.dirname(upper), (command,))

    def prepare(self, layers: Sequence[str], upper: str, work: str) -> None:
        """Copy the layers, bottom first; file data is shared where the file system can."""
        from lxcpy.storage import branch

        branch.prepare((), upper, work)
        try:
            for layer in reversed(layers):
                self._add(layer, upper)
            _write_stamp(upper)
        except OSError as error:
            raise LxcpyError(f"cannot copy the image to {upper}: {error.strerror}") from error

    def changes(self, layers: Sequence[str], upper: str) -> Iterator[Change]:
        """Compare the whole tree: the cost grows with the image."""
        from lxcpy.storage.changes import changes
        from lxcpy.storage.whiteouts import PlainFormat

        prepared = _read_stamp(upper)
        return changes(
            PlainFormat(), layers, upper,
            lower=self, complete=True, suspect=lambda found: found.st_ctime_ns >= prepared,
        )  # fmt: skip

    def _add(self, layer: str, upper: str) -> None:
        """Put one layer over what is there."""
        from lxcpy import shell
        from lxcpy.storage import branch

        marks, touched = [], []
        for directory, names in _walk(layer):
            target = upper + directory[len(layer) :]
            if os.path.isdir(target):
                touched.append((directory, target))
            for name in names:
                path = f"{directory}/{name}"
                hidden = self.whiteout_of(path)
                if hidden is not None:
                    _remove(f"{target}/{hidden}")
                if hidden is not None or self.is_internal(name):
                    marks.append(f"{target}/{name}")
                    touched.append((directory, target))
                else:
                    self._make_way(path, f"{target}/{name}")
        # The tree holds no links or files in the way any more: cp would write through a link.
        shell.run(("cp", "-a", "--reflink=auto", "--remove-destination", "--", f"{layer}/.", upper))
        for mark in marks:
            _remove(mark)
        for directory, target in touched:  # cp leaves set-user-id on a directory that was there
            branch.copy_metadata(directory, target)

    def _make_way(self, path: str, target: str) -> None:
        """Remove from the copy what the layer's entry at `path` replaces."""
        try:
            there = os.lstat(target)
        except (FileNotFoundError, NotADirectoryError):
            return
        both = stat.S_ISDIR(there.st_mode) and stat.S_ISDIR(os.lstat(path).st_mode)
        if not both or self.is_opaque(path):
            _remove(target)
            return
        with suppress(OSError):  # a file system without attributes
            for name in os.listxattr(target):
                os.removexattr(target, name)


def _walk(top: str) -> Iterator[tuple[str, list[str]]]:
    """Every directory of a tree with its names, parents first; links are not followed."""
    pending = [top]
    while pending:
        directory = pending.pop()
        with os.scandir(directory) as entries:
            found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        yield directory, [name for name, _ in found]
        pending += [f"{directory}/{name}" for name, is_directory in found if is_directory]


def _write_stamp(upper: str) -> None:
    """Note when the copy was complete: what has not changed since needs no comparison of bytes."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    os.close(os.open(f"{upper}.complete", flags, 0o600))


def _read_stamp(upper: str) -> int:
    """The time of completion in ns, by the clock of that file system; 0 when it is not known."""
    try:
        return os.lstat(f"{upper}.complete").st_ctime_ns
    except FileNotFoundError:
        return 0


def _remove(path: str) -> None:
    import shutil

    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
