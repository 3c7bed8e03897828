"""Images on disk: the bytes of their configs, and which names point to them.

images/<id>.json is an OCI config as it came, since its sha256 is the id; names.json is a record
{"names": {"repository:tag": id}}. Readers need no lock: each file appears and changes by a rename.
Who changes something holds the image lock.
"""

import json
import os
from contextlib import suppress
from typing import Any

from lxcpy import state
from lxcpy.errors import LxcpyError, NotFoundError
from lxcpy.model import Image

ALGORITHM = "sha256:"
DEFAULT_TAG = "latest"  # also in references, which need not be loaded here
DIGITS = 64
HEX = frozenset("0123456789abcdef")
SUFFIX = ".json"
NAMES = "names.json"


class ImageStore:
    """The images below one directory."""

    def __init__(self, images_dir: str) -> None:
        self.images_dir = images_dir

    def add(self, config: bytes) -> str:
        """Keep a config, durably; gives its id. LxcpyError when it is no image's."""
        import hashlib

        image_id = hashlib.sha256(config).hexdigest()
        _parse(config, f"config {image_id}")
        state.write_file(self._path(image_id), config)
        return image_id

    def get(self, image_id: str) -> Image:
        """The image of a whole id; NotFoundError when there is none, LxcpyError when damaged."""
        image = self.find(image_id)
        if image is None:
            raise _not_found(image_id)
        return image

    def find(self, image_id: str) -> Image | None:
        """The image of a whole id, None when there is none; LxcpyError when it is damaged."""
        return self._load(image_id, self._names()) if _is_id(image_id) else None

    def all(self) -> list[Image]:
        """Every image that can be read, sorted by id; a damaged one is left out."""
        names = self._names()
        images = []
        for image_id in self._ids():
            with suppress(LxcpyError):
                image = self._load(image_id, names)
                if image is not None:
                    images.append(image)
        return images

    def resolve(self, text: str) -> Image:
        """The image of a name (its tag is `latest` unless given), an id, or the start of one.

        A name comes first. Raises NotFoundError, and LxcpyError when several ids start so.
        """
        names = self._names()
        # What `references.local_name` makes of a valid name is one of these two.
        image_id = names.get(text) or names.get(f"{text}:{DEFAULT_TAG}") or self._by_prefix(text)
        image = self._load(image_id, names) if image_id else None
        if image is None:
            raise _not_found(text)
        return image

    def tag(self, image_id: str, name: str) -> None:
        """Let a name, as `references.local_name` gives it, point to an image, and to no other."""
        self.get(image_id)
        self._write_names({**self._names(), name: image_id})

    def untag(self, name: str) -> None:
        """Drop a name; nothing happens when there is none."""
        names = self._names()
        if names.pop(name, None) is not None:
            self._write_names(names)

    def delete(self, image_id: str) -> None:
        """Remove an image with its names; nothing happens when it is not here."""
        if not _is_id(image_id):
            return
        names = self._names()
        left = {name: target for name, target in names.items() if target != image_id}
        if len(left) != len(names):
            self._write_names(left)
        path = self._path(image_id)
        try:
            os.unlink(path)
            state.sync_directory(self.images_dir)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise LxcpyError(f"cannot delete {path}: {error.strerror}") from error

    def _by_prefix(self, text: str) -> str | None:
        digits = text.removeprefix(ALGORITHM)
        if not digits or not set(digits) <= HEX:
            return None
        found = [image_id for image_id in self._ids() if image_id.startswith(digits)]
        if len(found) > 1:
            raise LxcpyError(
                f"image id {text} is ambiguous: {len(found)} images start with it",
                hint="give more digits; lxcpy images --no-trunc lists them",
            )
        return found[0] if found else None

    def _ids(self) -> list[str]:
        try:
            files = sorted(os.listdir(self.images_dir))
        except FileNotFoundError:
            return []
        ids = (file.removesuffix(SUFFIX) for file in files if file.endswith(SUFFIX))
        return [image_id for image_id in ids if _is_id(image_id)]

    def _load(self, image_id: str, names: dict[str, str]) -> Image | None:
        path = self._path(image_id)
        try:
            with open(path, "rb") as file:
                config = _parse(file.read(), path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LxcpyError(f"cannot read {path}: {error.strerror}") from error
        own = sorted(name for name, target in names.items() if target == image_id)
        return Image(image_id, config, tuple(own))

    def _names(self) -> dict[str, str]:
        path = f"{self.images_dir}/{NAMES}"
        record = state.read_record(path)
        names = record.get("names") if record is not None else {}
        if not isinstance(names, dict) or not all(
            isinstance(target, str) and _is_id(target) for target in names.values()
        ):
            raise LxcpyError(f"{path} is damaged: it does not say which ids the names have")
        return names

    def _write_names(self, names: dict[str, str]) -> None:
        state.write_record(f"{self.images_dir}/{NAMES}", {"names": dict(sorted(names.items()))})

    def _path(self, image_id: str) -> str:
        return f"{self.images_dir}/{image_id}{SUFFIX}"


def _is_id(text: str) -> bool:
    return len(text) == DIGITS and set(text) <= HEX


def _parse(data: bytes, what: str) -> dict[str, Any]:
    """A config, checked as far as others rely on it: strangers write configs."""
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise LxcpyError(f"{what} is damaged: {error}") from error
    if not isinstance(config, dict):
        raise LxcpyError(f"{what} is damaged: it is no image config")
    rootfs = config.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list) or not all(_is_diff_id(item) for item in diff_ids):
        raise LxcpyError(f"{what} is damaged: rootfs.diff_ids is no list of sha256 digests")
    if not isinstance(config.get("config"), dict | None):
        raise LxcpyError(f"{what} is damaged: config is no object")
    return config


def _is_diff_id(item: object) -> bool:
    return (
        isinstance(item, str)
        and item.startswith(ALGORITHM)
        and _is_id(item.removeprefix(ALGORITHM))
    )


def _not_found(text: str) -> NotFoundError:
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return NotFoundError(
        f"No such image: {shown}",
        hint="lxcpy images lists them; lxcpy import or lxcpy bootstrap busybox makes one",
    )
