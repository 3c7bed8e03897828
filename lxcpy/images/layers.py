"""Layers on disk: unpacked once, in the driver's format, and never changed again.

layers/<first 12 hex digits of the diffID>/ holds fs/ (the branch), index (what makes the tar again,
see split) and layer.json. A name that another layer has is made longer, by 4 digits at a time.
The names are short since the options of an overlay mount must fit into one page.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lxcpy import kernel, state
from lxcpy.errors import LxcpyError, NotFoundError
from lxcpy.images.streams import Readable, Writable
from lxcpy.model import SHORT_ID, BranchFormat, Layer

DIGITS = 64
LENGTHEN = 4
ALGORITHM = "sha256:"


class LayerStore:
    """The layers below one directory; any number of processes may use it at once, without a lock.

    A layer appears by one rename and disappears by one.
    """

    def __init__(self, layers_dir: str, scratch_dir: str, branch_format: BranchFormat) -> None:
        self.layers_dir = layers_dir
        self.scratch_dir = scratch_dir
        self.branch_format = branch_format

    def add(self, stream: Readable) -> Layer:
        """Unpack an uncompressed tar into a layer; one that is there already is given back.

        Raises LxcpyError as `archive.unpack` does; nothing is left behind then.
        """
        from lxcpy.images import archive

        with self._scratch("layer") as scratch:
            fs = f"{scratch}/fs"
            os.mkdir(fs)
            os.chmod(fs, 0o755)  # the umask is the caller's
            with open(f"{scratch}/index", "xb") as index:
                done = archive.unpack(stream, fs, self.branch_format, index=index)
            present = self.find(done.diff_id)
            if present is not None:
                return present
            record = {"diff_id": done.diff_id, "size": done.size, "entries": done.entries}
            state.write_record(
                f"{scratch}/layer.json", {**record, "created": kernel.now()}, durable=False
            )
            _sync_file_system(scratch)  # cheaper than an fsync for each of 10,000 files
            return self._place(scratch, done.diff_id, done.size)

    def _place(self, scratch: str, diff_id: str, size: int) -> Layer:
        for directory in self._candidates(diff_id):
            try:
                os.rename(scratch, directory)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise LxcpyError(f"cannot keep layer {diff_id}: {error.strerror}") from error
                present = _load(directory)
                if present is not None and present.diff_id == diff_id:
                    return present  # somebody else added it meanwhile
            else:
                state.sync_directory(self.layers_dir)
                return Layer(diff_id, directory, size)
        raise LxcpyError(f"cannot keep layer {diff_id}: its names are taken")

    def find(self, diff_id: str) -> Layer | None:
        """The layer of a diffID, None when it is not here."""
        for directory in self._candidates(diff_id):
            layer = _load(directory)
            if layer is not None and layer.diff_id == diff_id:
                return layer
        return None

    def get(self, diff_id: str) -> Layer:
        """The layer of a diffID; NotFoundError when it is not here."""
        layer = self.find(diff_id)
        if layer is None:
            raise NotFoundError(
                f"layer {diff_id} is missing", hint="the image is incomplete: get it again"
            )
        return layer

    def all(self) -> list[Layer]:
        """Every layer, sorted by directory; a broken record is an error that names it."""
        try:
            names = sorted(os.listdir(self.layers_dir))
        except FileNotFoundError:
            return []
        found = (_load(f"{self.layers_dir}/{name}") for name in names)
        return [layer for layer in found if layer is not None]

    def delete(self, diff_id: str) -> None:
        """Remove a layer; nothing happens when it is not here."""
        layer = self.find(diff_id)
        if layer is None:
            return
        with self._scratch("deleted") as scratch, suppress(FileNotFoundError):
            os.rename(layer.directory, f"{scratch}/layer")

    def tar(self, diff_id: str, out: Writable) -> None:
        """Write the very tar that the layer came from; its checksum is verified at the end."""
        import hashlib

        from lxcpy.images import split
        from lxcpy.images.streams import Tee, Worker

        layer = self.get(diff_id)
        digest = hashlib.sha256()
        try:
            with open(f"{layer.directory}/index", "rb") as index, Worker() as worker:
                tee = Tee(out, lambda data: worker.do(digest.update, data))
                split.rebuild(index, layer.fs, tee)
                worker.finish()
        except FileNotFoundError as error:
            raise LxcpyError(f"layer {diff_id} is damaged: it has no index") from error
        if ALGORITHM + digest.hexdigest() != diff_id:
            raise LxcpyError(
                f"layer {diff_id} is damaged: its tar has the checksum {digest.hexdigest()}",
                hint="its files were changed: remove the image and get it again",
            )

    def sweep_scratch(self) -> list[str]:
        """Delete what processes that died left unfinished; gives the names."""
        swept = []
        for name in os.listdir(self.scratch_dir):
            owner = _owner(name)
            if owner is not None and not kernel.alive(*owner):
                _remove_tree(f"{self.scratch_dir}/{name}")
                swept.append(name)
        return sorted(swept)

    def _candidates(self, diff_id: str) -> Iterator[str]:
        digits = diff_id.removeprefix(ALGORITHM)
        if len(digits) != DIGITS or not set(digits) <= set("0123456789abcdef"):
            raise LxcpyError(f"{diff_id!r} is no layer id: sha256: and 64 hex digits are")
        for length in range(SHORT_ID, DIGITS + 1, LENGTHEN):
            yield f"{self.layers_dir}/{digits[:length]}"

    @contextmanager
    def _scratch(self, purpose: str) -> Iterator[str]:
        """A directory of this process, deleted at the end unless it was renamed."""
        pid = os.getpid()
        name = f"{purpose}-{pid}-{kernel.start_time(pid)}-{os.urandom(4).hex()}"
        path = f"{self.scratch_dir}/{name}"
        try:
            os.mkdir(path, 0o700)
        except OSError as error:
            raise LxcpyError(f"cannot make directory {path}: {error.strerror}") from error
        try:
            yield path
        except OSError as error:
            raise LxcpyError(f"cannot write below {path}: {error.strerror}") from error
        finally:
            _remove_tree(path)


def _load(directory: str) -> Layer | None:
    path = f"{directory}/layer.json"
    record = state.read_record(path)
    if record is None:
        return None
    try:
        return Layer(str(record["diff_id"]), directory, int(record["size"]))
    except (KeyError, TypeError, ValueError) as error:
        raise LxcpyError(f"{path} is damaged: it lacks {error}") from error


def _owner(name: str) -> tuple[int, int] | None:
    """The pid and the start time in a scratch name; None for a name that is not ours."""
    parts = name.split("-")
    if len(parts) != 4 or not (parts[1].isdecimal() and parts[2].isdecimal()):
        return None
    return int(parts[1]), int(parts[2])


def _remove_tree(path: str) -> None:
    """Delete what there is; what cannot be deleted is garbage that `sweep_scratch` tries again."""
    import shutil

    if os.path.lexists(path):
        shutil.rmtree(path, ignore_errors=True)


def _sync_file_system(path: str) -> None:
    """syncfs(2), which the standard library lacks."""
    import ctypes

    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(fd)
