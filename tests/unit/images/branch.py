"""A branch format for ordinary users: AUFS's names, as plain files."""

import os


class PlainBranch:
    def whiteout_of(self, path: str) -> str | None:
        name = os.path.basename(path)
        return name[4:] if name.startswith(".wh.") and not self.is_internal(name) else None

    def make_whiteout(self, directory: str, name: str) -> None:
        os.close(os.open(f"{directory}/.wh.{name}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))

    def is_opaque(self, directory: str) -> bool:
        return os.path.lexists(f"{directory}/.wh..wh..opq")

    def make_opaque(self, directory: str) -> None:
        self.make_whiteout(directory, ".wh..opq")

    def is_internal(self, name: str) -> bool:
        return name.startswith(".wh..wh.")

    def find_whiteout(self, directory: str, name: str) -> bool:
        return os.path.lexists(f"{directory}/.wh.{name}")
