"""Images on disk: <id>.json is an image's config, byte for byte; names.json says name:tag -> id.

Nothing here locks: who changes the store holds the lock of the images. Reading needs none.
"""

import os
from contextlib import suppress

from lxcpy import state
from lxcpy.errors import LxcpyError, NotFoundError
from lxcpy.images import configs
from lxcpy.model import Image

HEX = frozenset("0123456789abcdef")
ID_LENGTH = 64
SUFFIX = ".json"
PREFIX = "sha256:"
LATEST = ":latest"


class ImageStore:
    """The images below one directory."""

    def __init__(self, images_dir: str) -> None:
        self.images_dir = images_dir

    def add(self, config: bytes) -> str:
        """Keep a config; gives the id. Raises LxcpyError for what is no image config."""
        import hashlib

        try:
            configs.parse(config)
        except ValueError as error:
            raise LxcpyError(f"the image config is damaged: {error}") from error
        image_id = hashlib.sha256(config).hexdigest()
        state.write_file(self._path(image_id), config)
        return image_id

    def find(self, image_id: str) -> Image | None:
        """The image of a full id, None when it is not here; a broken one is an error."""
        return self._load(image_id, self._names()) if _is_id(image_id) else None

    def get(self, image_id: str) -> Image:
        """The image of a full id; NotFoundError when it is not here."""
        image = self.find(image_id)
        if image is None:
            raise _unknown(image_id)
        return image

    def all(self) -> list[Image]:
        """Every image, sorted by id; a broken one is left out with a warning."""
        images, broken = self.load_all()
        if broken:
            import logging  # 3 ms that a run does not need

            for error in broken:
                logging.getLogger(__name__).warning("%s", error.message)
        return images

    def load_all(self) -> tuple[list[Image], list[LxcpyError]]:
        """Every image, and an error for every one that cannot be read."""
        by_id: dict[str, dict[str, str]] = {}
        for name, image_id in self._names().items():
            by_id.setdefault(image_id, {})[name] = image_id
        images, broken = [], []
        for image_id in self._ids():
            try:
                image = self._load(image_id, by_id.get(image_id, {}))
            except LxcpyError as error:
                broken.append(error)
            else:
                if image is not None:
                    images.append(image)
        return images, broken

    def resolve(self, text: str) -> Image:
        """The image of a name, an id (also as sha256:ID), or the start of one that is unique.

        A name wins over an id. Raises NotFoundError, and LxcpyError when several ids fit.
        """
        names = self._names()
        # What `references.local_name` makes of a valid name is one of the first two.
        image_id = names.get(text) or names.get(text + LATEST) or self._find_id(text)
        image = self._load(image_id, names) if image_id else None
        if image is None:
            raise _unknown(text)
        return image

    def tag(self, image_id: str, name: str) -> None:
        """Give an image the name REPOSITORY:TAG; an image that had it loses it."""
        if not _is_id(image_id) or not os.path.exists(self._path(image_id)):
            raise _unknown(image_id)
        self._write_names({**self._names(), name: image_id})

    def untag(self, name: str) -> None:
        """Take a name away; NotFoundError when no image has it."""
        names = self._names()
        if names.pop(name, None) is None:
            raise _unknown(name)
        self._write_names(names)

    def delete(self, image_id: str) -> None:
        """Remove an image and its names; nothing happens when it is not here."""
        if not _is_id(image_id):
            return
        names = self._names()
        left = {name: other for name, other in names.items() if other != image_id}
        if left != names:
            self._write_names(left)
        with suppress(FileNotFoundError):
            os.unlink(self._path(image_id))

    def _path(self, image_id: str) -> str:
        return f"{self.images_dir}/{image_id}{SUFFIX}"

    def _ids(self) -> list[str]:
        try:
            found = os.listdir(self.images_dir)
        except FileNotFoundError:
            return []
        ids = (name.removesuffix(SUFFIX) for name in sorted(found) if name.endswith(SUFFIX))
        return [image_id for image_id in ids if _is_id(image_id)]

    def _find_id(self, text: str) -> str | None:
        start = text.removeprefix(PREFIX)
        if not start or not set(start) <= HEX or len(start) > ID_LENGTH:
            return None
        if len(start) == ID_LENGTH:
            return start
        found = [image_id for image_id in self._ids() if image_id.startswith(start)]
        if len(found) > 1:
            raise LxcpyError(
                f"{text} is the start of {len(found)} image ids", hint="give more digits"
            )
        return found[0] if found else None

    def _load(self, image_id: str, names: dict[str, str]) -> Image | None:
        path = self._path(image_id)
        try:
            with open(path, "rb") as file:
                config = configs.parse(file.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LxcpyError(f"cannot read {path}: {error.strerror}") from error
        except ValueError as error:
            raise LxcpyError(
                f"{path} is damaged: {error}", hint="only this image is hurt; the others work"
            ) from error
        mine = sorted(name for name, target in names.items() if target == image_id)
        return Image(image_id, config, tuple(mine))

    def _names(self) -> dict[str, str]:
        path = f"{self.images_dir}/names.json"
        record = state.read_record(path) or {"names": {}}
        names = record.get("names")
        if not isinstance(names, dict) or not all(_is_id(value) for value in names.values()):
            raise LxcpyError(f"{path} is damaged: it holds no names")
        return names

    def _write_names(self, names: dict[str, str]) -> None:
        ordered = dict(sorted(names.items()))
        state.write_record(f"{self.images_dir}/names.json", {"names": ordered})


def _is_id(value: object) -> bool:
    return isinstance(value, str) and len(value) == ID_LENGTH and set(value) <= HEX


def _unknown(text: str) -> NotFoundError:
    shown = text if text.isprintable() else ascii(text)
    return NotFoundError(f"No such image: {shown}", hint="the images that are here: lxcpy images")
