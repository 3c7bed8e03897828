"""overlayfs: the union of the mainline kernel (Documentation/filesystems/overlayfs.rst)."""

import os
import stat
from collections.abc import Iterator, Sequence

from lxcpy.errors import LxcpyError
from lxcpy.model import Change, Mount
from lxcpy.storage import options

MAX_LAYERS = 500  # OVL_MAX_STACK
SYSFS = "/sys/module/overlay"
# A distribution may turn these on by default. Each makes an upper that cannot be read without
# overlayfs: a moved directory as a reference, a file without data, a branch tied to its layers.
FEATURES = ("redirect_dir", "metacopy", "index")
WHITEOUT = "trusted.overlay.whiteout"
OPAQUE = "trusted.overlay.opaque"


class OverlayFormat:
    """Whiteout: character device 0:0. Opaque directory: trusted.overlay.opaque = y.

    Attributes below user.overlay. are not read: only a mount with `userxattr` heeds them, and
    without it any user may set them.
    """

    def whiteout_of(self, path: str) -> str | None:
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISCHR(found.st_mode):
            return os.path.basename(path) if found.st_rdev == 0 else None
        # Linux 6.7: an empty file with an attribute, in a directory marked with opaque = x
        if stat.S_ISREG(found.st_mode) and found.st_size == 0:
            directory, name = os.path.split(path)
            marked = _attribute(path, WHITEOUT) is not None
            return name if marked and _attribute(f"{directory}/.", OPAQUE) == b"x" else None
        return None

    def find_whiteout(self, directory: str, name: str) -> bool:
        return self.whiteout_of(f"{directory}/{name}") is not None

    def make_whiteout(self, directory: str, name: str) -> None:
        path = f"{directory}/{name}"
        try:
            os.mknod(path, stat.S_IFCHR | 0o000, os.makedev(0, 0))
        except FileExistsError:  # what stands there hides the rest already, if it is no directory
            if stat.S_ISDIR(os.lstat(path).st_mode):
                self.make_opaque(path)
        except OSError as error:
            raise LxcpyError(f"cannot make whiteout {path}: {error.strerror}") from error

    def is_opaque(self, directory: str) -> bool:
        return _attribute(f"{directory}/.", OPAQUE) == b"y"

    def make_opaque(self, directory: str) -> None:
        try:
            os.setxattr(directory, OPAQUE, b"y", follow_symlinks=False)
        except OSError as error:
            raise LxcpyError(f"cannot mark {directory} opaque: {error.strerror}") from error

    def is_internal(self, name: str) -> bool:
        return False


class Overlay(OverlayFormat):
    name = "overlay"

    def probe(self, scratch: str) -> str | None:
        from lxcpy.storage.probe import probe

        return probe(self, scratch)

    def mount(self, layers: Sequence[str], upper: str, work: str, target: str) -> Mount:
        """See Driver; LxcpyError when the layers are none, or too many for one page of options."""
        if not layers:
            raise LxcpyError(f"cannot mount {target}: overlay needs at least one layer")
        cwd = options.shared_directory(layers)
        lower = [options.shorten(layer, cwd, _escape_lower) for layer in layers]
        tail = (
            f",upperdir={options.shorten(upper, cwd, _escape)}"
            f",workdir={options.shorten(work, cwd, _escape)}{_features()}"
        )
        text = f"lowerdir={':'.join(lower)}{tail}"
        if len(lower) > MAX_LAYERS or options.size(text) > options.LIMIT:
            raise _too_many(lower, tail)
        command = (*options.MOUNT, "overlay", "overlay", "-o", text, target)
        return Mount(cwd, (command,))

    def prepare(self, layers: Sequence[str], upper: str, work: str) -> None:
        from lxcpy.storage.branch import prepare

        prepare(layers, upper, work)

    def changes(self, layers: Sequence[str], upper: str) -> Iterator[Change]:
        from lxcpy.storage.changes import changes

        return changes(self, layers, upper)


def _attribute(path: str, name: str) -> bytes | None:
    try:
        return os.getxattr(path, name, follow_symlinks=False)
    except OSError:
        return None


def _escape(path: str) -> str | None:
    """A path as an option's value: the kernel drops the backslash, mount(8) heeds it too.

    mount(8) counts quotes and takes an odd one for an open string, escaped or not
    (util-linux 2.38, ul_optstr_next): a quote cannot be written.
    """
    if '"' in path:
        return None
    return path.replace("\\", "\\\\").replace(",", "\\,")


def _escape_lower(path: str) -> str | None:
    escaped = _escape(path)
    return escaped and escaped.replace(":", "\\:")


def _features() -> str:
    """Options that turn off what this kernel knows; a kernel without a feature refuses its name.

    Before the module is loaded nothing tells: then all are named, for Linux 4.19 and later.
    """
    loaded = os.path.isdir(SYSFS)
    known = (
        name for name in FEATURES if not loaded or os.path.exists(f"{SYSFS}/parameters/{name}")
    )
    return "".join(f",{name}=off" for name in known)


def _too_many(lower: list[str], tail: str) -> LxcpyError:
    room = options.LIMIT - options.size(f"lowerdir={tail}") + 1
    fit = 0
    for name in lower[:MAX_LAYERS]:
        room -= options.size(name) + 1
        if room < 0:
            break
        fit += 1
    return LxcpyError(
        f"cannot mount {len(lower)} layers: {fit} of them fit into one page of mount options",
        hint="make one layer of them: export a container of the image and import it",
    )
