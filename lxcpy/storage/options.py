"""The option string of a union mount: short names, and no more than one page of them."""

import os
from collections.abc import Callable, Sequence

from lxcpy.errors import LxcpyError

# mount(2) copies one page of options, and its last byte is the final NUL. Linux cuts what is
# longer without a word, so that the last layers would be missing. 4096 is the smallest page.
LIMIT = 4095
# -i: no mount.TYPE program in between, whose parsing differs; -n: nothing is written below /run.
MOUNT = ("mount", "-i", "-n", "-t")


def size(text: str) -> int:
    """Bytes of a text on its way to the kernel."""
    return len(os.fsencode(text))


def shared_directory(layers: Sequence[str]) -> str:
    """The directory below which most layers lie: their names relative to it are short.

    A layer is DIRECTORY/NAME/fs. The topmost one may lie elsewhere, in the container's directory.
    """
    counts: dict[str, int] = {}
    for layer in layers:
        directory = os.path.dirname(os.path.dirname(layer))
        counts[directory] = counts.get(directory, 0) + 1
    return max(reversed(counts), key=counts.__getitem__)


def shorten(path: str, cwd: str, escape: Callable[[str], str | None]) -> str:
    """The shorter way to write `path` for a mount that runs in `cwd`.

    Names relative to `cwd` also keep a root with commas and blanks out of the options. `escape`
    gives None for what cannot be written; LxcpyError when no way can.
    """
    inside = path.startswith(f"{cwd}/")
    relative = escape(path[len(cwd) + 1 :]) if inside else _climb(path, cwd, escape)
    if inside and relative is not None:
        return relative
    spellings = [text for text in (relative, escape(path)) if text is not None]
    if not spellings:
        raise LxcpyError(
            f"cannot mount {path!r}: its name holds a character that mount options cannot carry",
            hint="choose a --root without quotes, commas, colons and backslashes",
        )
    return min(spellings, key=len)


def _climb(path: str, cwd: str, escape: Callable[[str], str | None]) -> str | None:
    """`path` by way of `..`; None when that leads elsewhere, since an admin moved a directory."""
    relative = os.path.relpath(path, cwd)
    for _ in range(relative.split("/").count("..")):
        if os.path.islink(cwd):
            return None
        cwd = os.path.dirname(cwd)
    return escape(relative)
