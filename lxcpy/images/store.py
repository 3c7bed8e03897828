"""Images on disk: the config of each, byte for byte, and the names that point to them.

images/<id>.json is an OCI image config; the id is the sha256 of its bytes, as docker computes it.
images/names.json maps repository:tag to ids.
"""

import json
import os
from contextlib import suppress
from typing import Any

from lxcpy import state
from lxcpy.errors import LxcpyError, NotFoundError
from lxcpy.images import references
from lxcpy.model import Image

HEX = frozenset("0123456789abcdef")
DIGITS = 64


class ImageStore:
    """All images of one root; who changes something holds the lock of the image store."""

    def __init__(self, images_dir: str) -> None:
        self.images_dir = images_dir
        self.names_path = f"{images_dir}/names.json"

    def names(self) -> dict[str, str]:
        """repository:tag -> id."""
        record = state.read_record(self.names_path)
        return dict(record["names"]) if record else {}

    def add(self, config: bytes) -> str:
        """Store a config and return its id."""
        import hashlib

        image_id = hashlib.sha256(config).hexdigest()
        _parse(image_id, config)
        state.write_file(self._path(image_id), config)
        return image_id

    def get(self, image_id: str) -> Image:
        """The image of a whole id; NotFoundError when there is none."""
        image = self.find(image_id)
        if image is None:
            raise NotFoundError(f"No such image: {image_id}")
        return image

    def find(self, image_id: str) -> Image | None:
        """The image of a whole id; LxcpyError that names a config which is damaged."""
        return self._load(image_id, self.names())

    def all(self) -> list[Image]:
        """Every image that can be read."""
        names = self.names()
        images = []
        for image_id in self._ids():
            with suppress(LxcpyError):
                if image := self._load(image_id, names):
                    images.append(image)
        return images

    def resolve(self, text: str) -> Image:
        """The image of a name, an id or a unique prefix of one; a name wins over a prefix."""
        names = self.names()
        with suppress(LxcpyError):
            if (image_id := names.get(references.local_name(text))) and (
                image := self._load(image_id, names)
            ):
                return image
        prefix = text.removeprefix("sha256:")
        found = []
        if prefix and set(prefix) <= HEX:
            found = [image_id for image_id in self._ids() if image_id.startswith(prefix)]
        if len(found) > 1:
            raise LxcpyError(
                f"image id prefix {text} is ambiguous: {len(found)} images begin with it",
                hint="give more digits, or the name",
            )
        if not found or (image := self._load(found[0], names)) is None:
            raise NotFoundError(
                f"No such image: {text}",
                hint="lxcpy images lists them; lxcpy bootstrap busybox or lxcpy import makes one",
            )
        return image

    def tag(self, image_id: str, name: str) -> None:
        """Point a name at an image; it leaves the one that had it."""
        self._write_names({**self.names(), name: image_id})

    def untag(self, name: str) -> None:
        self._write_names({key: value for key, value in self.names().items() if key != name})

    def delete(self, image_id: str) -> None:
        """Remove an image and its names."""
        names = {key: value for key, value in self.names().items() if value != image_id}
        self._write_names(names)
        with suppress(FileNotFoundError):
            os.unlink(self._path(image_id))
        state.sync_directory(self.images_dir)

    def _write_names(self, names: dict[str, str]) -> None:
        state.write_record(self.names_path, {"names": names})

    def _path(self, image_id: str) -> str:
        return f"{self.images_dir}/{image_id}.json"

    def _ids(self) -> list[str]:
        stems = (name.removesuffix(".json") for name in os.listdir(self.images_dir))
        return [stem for stem in stems if len(stem) == DIGITS and set(stem) <= HEX]

    def _load(self, image_id: str, names: dict[str, str]) -> Image | None:
        path = self._path(image_id)
        try:
            with open(path, "rb") as file:
                config = _parse(path, file.read())
        except FileNotFoundError:
            return None
        mine = sorted(name for name, target in names.items() if target == image_id)
        return Image(image_id, config, tuple(mine))


def _parse(path: str, data: bytes) -> dict[str, Any]:
    """An image config; LxcpyError when it is none."""
    try:
        config = json.loads(data)
        layers = config["rootfs"]["diff_ids"]
        sound = isinstance(config.get("config") or {}, dict) and isinstance(layers, list)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LxcpyError(f"{path} is damaged: it is no image config") from error
    if not sound or not all(_is_diff_id(layer) for layer in layers):
        raise LxcpyError(f"{path} is damaged: its layers or its config make no sense")
    return dict(config)


def _is_diff_id(text: object) -> bool:
    if not isinstance(text, str) or not text.startswith("sha256:"):
        return False
    digits = text.removeprefix("sha256:")
    return len(digits) == DIGITS and set(digits) <= HEX
