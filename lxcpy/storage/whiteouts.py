"""Deletions by names beginning with .wh., as AUFS and OCI layers write them, and none at all."""

import os
import stat

from lxcpy.errors import LxcpyError

PREFIX = ".wh."
INTERNAL = ".wh..wh."
OPAQUE = ".wh..wh..opq"
NOTHING = (PREFIX, f"{PREFIX}.", f"{PREFIX}..")


class AufsFormat:
    """Whiteout: a file .wh.NAME. Opaque directory: a file .wh..wh..opq in it (aufs(5)).

    The other names with .wh..wh. are AUFS's own: .wh..wh.aufs, .wh..wh.orph, .wh..wh.plnk.
    Names that would hide ".", ".." or nothing are no whiteouts, and no user's either.
    """

    def whiteout_of(self, path: str) -> str | None:
        name = os.path.basename(path)
        if not name.startswith(PREFIX) or self.is_internal(name):
            return None
        return name.removeprefix(PREFIX)

    def find_whiteout(self, directory: str, name: str) -> bool:
        return os.path.lexists(f"{directory}/{PREFIX}{name}")

    def make_whiteout(self, directory: str, name: str) -> None:
        try:
            found = os.lstat(f"{directory}/{name}")
        except FileNotFoundError:
            _make_file(f"{directory}/{PREFIX}{name}")
        else:  # AUFS would hide this entry with the rest
            if stat.S_ISDIR(found.st_mode):
                self.make_opaque(f"{directory}/{name}")

    def is_opaque(self, directory: str) -> bool:
        return os.path.lexists(f"{directory}/{OPAQUE}")

    def make_opaque(self, directory: str) -> None:
        _make_file(f"{directory}/{OPAQUE}")

    def is_internal(self, name: str) -> bool:
        return name.startswith(INTERNAL) or name in NOTHING


class PlainFormat:
    """A complete tree, in which every name is a user's own."""

    def whiteout_of(self, path: str) -> str | None:
        return None

    def find_whiteout(self, directory: str, name: str) -> bool:
        return False

    def make_whiteout(self, directory: str, name: str) -> None:
        """Nothing lies below that could be hidden."""

    def is_opaque(self, directory: str) -> bool:
        return False

    def make_opaque(self, directory: str) -> None:
        """Nothing lies below that could be hidden."""

    def is_internal(self, name: str) -> bool:
        return False


def _make_file(path: str) -> None:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o444))
    except OSError as error:
        raise LxcpyError(f"cannot make whiteout {path}: {error.strerror}") from error
