"""AUFS: the union that Docker began with; not in the mainline kernel (aufs(5))."""

import os
from collections.abc import Iterator, Sequence

from lxcpy.errors import LxcpyError
from lxcpy.model import Change, Mount
from lxcpy.storage import options
from lxcpy.storage.whiteouts import AufsFormat

XINO_DIRECTORY = "/run"  # tmpfs nearly everywhere, and only root writes there
DIRPERM1_SINCE = (3, 18)  # older ones refuse the option


class Aufs(AufsFormat):
    name = "aufs"

    def probe(self, scratch: str) -> str | None:
        from lxcpy.storage.probe import probe

        return probe(self, scratch)

    def mount(self, layers: Sequence[str], upper: str, work: str, target: str) -> Mount:
        """See Driver: as many branches as fit one page at once, the others appended after it.

        `work` is not used. How many branches AUFS takes is fixed when the kernel is built: 127
        at least.
        """
        if not layers:
            raise LxcpyError(f"cannot mount {target}: aufs needs at least one layer")
        cwd = options.shared_directory(layers)
        branches = [f"{options.shorten(layer, cwd, _escape)}=ro+wh" for layer in layers]
        tail = f",xino={_xino(target)}{_dirperm1()}"
        head = f"br:{options.shorten(upper, cwd, _escape)}=rw"
        first, rest = _fill(branches, ":", options.LIMIT - options.size(head + tail))
        commands = [_command(f"{head}{first}{tail}", target)]
        while rest:
            appended, rest = _fill(rest, ",append:", options.LIMIT - len("remount"))
            commands.append(_command(f"remount{appended}", target))
        return Mount(cwd, tuple(commands))

    def prepare(self, layers: Sequence[str], upper: str, work: str) -> None:
        from lxcpy.storage.branch import prepare

        prepare(layers, upper, work)

    def changes(self, layers: Sequence[str], upper: str) -> Iterator[Change]:
        from lxcpy.storage.changes import changes

        return changes(self, layers, upper)


def _command(text: str, target: str) -> tuple[str, ...]:
    # Source and target both: with one of them a remount adds what fstab or the kernel lists.
    return (*options.MOUNT, "aufs", "aufs", "-o", text, target)


def _fill(branches: list[str], separator: str, room: int) -> tuple[str, list[str]]:
    """The branches that fit into `room` bytes, each after a separator, and those left over."""
    text = ""
    for count, branch in enumerate(branches):
        room -= options.size(separator + branch)
        if room < 0:
            if not text:
                raise LxcpyError(f"cannot mount {branch}: the name is longer than a page")
            return text, branches[count:]
        text += separator + branch
    return text, []


def _escape(path: str) -> str | None:
    r"""AUFS cuts at `,` `:` `=` and knows no escapes; mount(8) reads `"` and `\`."""
    return None if any(character in path for character in ',:="\\') else path


def _xino(target: str) -> str:
    """A file name of this mount's own: AUFS makes the file, fails if it is there, and unlinks it.

    Beside the writable branch, its default place, every inode number would be written to disk.
    """
    from binascii import crc32

    return f"{XINO_DIRECTORY}/lxcpy-{crc32(os.fsencode(target)):08x}.xino"


def _dirperm1() -> str:
    """Only the topmost branch's permissions count: a chmod can then widen a directory's."""
    release = os.uname().release.split(".")
    major, minor = int(release[0]), int("".join(filter(str.isdigit, release[1][:3])) or 0)
    return ",dirperm1" if (major, minor) >= DIRPERM1_SINCE else ""
