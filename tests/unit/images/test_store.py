import hashlib
import json
import os
from pathlib import Path

import pytest

from lxcpy.errors import LxcpyError, NotFoundError
from lxcpy.images.store import ImageStore
from lxcpy.model import Image

DIFF_ID = f"sha256:{'0' * 64}"


def config(number: int = 0) -> bytes:
    text = {"n": number, "config": {"Cmd": ["sh"]}, "rootfs": {"diff_ids": [DIFF_ID]}}
    return json.dumps(text, indent=3).encode()


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(str(tmp_path))


def ids_that_share_a_start(store: ImageStore) -> tuple[str, str]:
    """Two of 17 ids have the first digit in common."""
    seen: dict[str, str] = {}
    for number in range(17):
        image_id = store.add(config(number))
        if image_id[0] in seen:
            return seen[image_id[0]], image_id
        seen[image_id[0]] = image_id
    raise AssertionError("there are 16 digits")


def test_keeps_the_bytes(store: ImageStore, tmp_path: Path) -> None:
    image_id = store.add(config())
    assert image_id == hashlib.sha256(config()).hexdigest()
    assert config() == (tmp_path / f"{image_id}.json").read_bytes()
    assert Image(image_id, json.loads(config()), ()) == store.get(image_id)
    assert store.get(image_id).layers == (DIFF_ID,)


def test_moves_a_name(store: ImageStore) -> None:
    first, second = store.add(config(1)), store.add(config(2))
    store.tag(first, "a:1")
    store.tag(first, "a:0")
    assert store.get(first).names == ("a:0", "a:1")
    store.tag(second, "a:1")
    assert store.get(first).names == ("a:0",)
    assert store.get(second).names == ("a:1",)
    store.untag("a:1")
    store.untag("never:was")
    assert store.get(second).names == ()


def test_names_nothing_unknown(store: ImageStore) -> None:
    with pytest.raises(NotFoundError, match="No such image: 0000"):
        store.tag("0" * 64, "a:1")


def test_deletes_an_image_with_its_names(store: ImageStore, tmp_path: Path) -> None:
    first, second = store.add(config(1)), store.add(config(2))
    store.tag(first, "a:1")
    store.tag(second, "b:1")
    store.delete(first)
    store.delete(first)
    store.delete("../names")
    assert [second] == [image.id for image in store.all()]
    assert {"b:1": second} == json.loads((tmp_path / "names.json").read_bytes())["names"]


def test_resolves(store: ImageStore) -> None:
    image_id = store.add(config())
    store.tag(image_id, "localhost:5000/a/b:latest")
    store.tag(image_id, "c:1")
    texts = [
        "localhost:5000/a/b", "localhost:5000/a/b:latest", "c:1", image_id, image_id[:1],
        image_id[:12], f"sha256:{image_id}", f"sha256:{image_id[:12]}",
    ]  # fmt: skip
    assert [image_id] * len(texts) == [store.resolve(text).id for text in texts]


def test_prefers_a_name_to_an_id(store: ImageStore) -> None:
    first, second = store.add(config(1)), store.add(config(2))
    store.tag(second, f"{first[:12]}:latest")
    assert second == store.resolve(first[:12]).id


@pytest.mark.parametrize(
    "text", ["", "c", "c:2", "sha256:", "../names", "names", "f" * 64, "0" * 65, "\n", "A:b:c"]
)
def test_resolves_nothing_unknown(store: ImageStore, text: str) -> None:
    store.tag(store.add(config()), "c:1")
    with pytest.raises(NotFoundError, match=r"^No such image: ") as caught:
        store.resolve(text)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    assert store.find(text) is None


def test_says_that_an_id_is_ambiguous(store: ImageStore) -> None:
    first, _ = ids_that_share_a_start(store)
    with pytest.raises(LxcpyError, match=f"image id {first[0]} is ambiguous: 2 images"):
        store.resolve(first[0])
    assert first == store.resolve(first).id


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"\xff", b"[" * 100_000, b"[]", b"{}", b'{"rootfs":[]}', b'{"rootfs":{"diff_ids":{}}}',
        b'{"rootfs":{"diff_ids":[1]}}', b'{"rootfs":{"diff_ids":["sha256:../x"]}}',
        b'{"rootfs":{"diff_ids":[]},"config":[]}',
    ],
)  # fmt: skip
def test_says_that_a_config_is_damaged(store: ImageStore, tmp_path: Path, damage: bytes) -> None:
    good, bad = store.add(config(1)), store.add(config(2))
    (tmp_path / f"{bad}.json").write_bytes(damage)
    with pytest.raises(LxcpyError, match=f"{bad}.json is damaged"):
        store.get(bad)
    assert [good] == [image.id for image in store.all()]
    with pytest.raises(LxcpyError, match="is damaged"):
        store.add(damage)


def test_takes_a_config_without_commands(store: ImageStore) -> None:
    image_id = store.add(b'{"rootfs":{"diff_ids":[]},"config":null}')
    assert store.get(image_id).config["config"] is None


@pytest.mark.parametrize("names", [[], {"a:1": 3}, {"a:1": "../../etc/passwd"}, None])
def test_says_that_the_names_are_damaged(store: ImageStore, tmp_path: Path, names: object) -> None:
    (tmp_path / "names.json").write_text(json.dumps({"version": 1, "names": names}))
    with pytest.raises(LxcpyError, match=r"names.json is damaged"):
        store.resolve("a")


def test_looks_only_at_images(store: ImageStore, tmp_path: Path) -> None:
    assert ImageStore(str(tmp_path / "none")).all() == []
    image_id = store.add(config())
    (tmp_path / f".{image_id}.json.{os.getpid()}").write_bytes(b"unfinished")
    (tmp_path / "notes.json").write_bytes(b"")
    assert [image_id] == [image.id for image in store.all()]
