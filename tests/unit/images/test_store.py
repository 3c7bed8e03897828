import hashlib
import json
import logging
import os
from pathlib import Path

import pytest

from lxcpy.errors import LxcpyError, NotFoundError
from lxcpy.images.store import ImageStore

DIFF_ID = "sha256:" + "1" * 64


def config(text: str) -> bytes:
    return json.dumps({"author": text, "rootfs": {"diff_ids": [DIFF_ID]}}, indent=3).encode()


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(str(tmp_path))


def test_the_id_is_the_checksum_of_the_bytes(store: ImageStore) -> None:
    image_id = store.add(config("a"))
    assert image_id == hashlib.sha256(config("a")).hexdigest()
    assert Path(store.images_dir, f"{image_id}.json").read_bytes() == config("a")
    assert store.get(image_id).layers == (DIFF_ID,)


def test_refuses_what_is_no_config(store: ImageStore) -> None:
    with pytest.raises(LxcpyError, match="image config is damaged"):
        store.add(b"{}")
    assert os.listdir(store.images_dir) == []


def test_resolves_names_and_ids(store: ImageStore) -> None:
    image_id = store.add(config("a"))
    other = store.add(config("b"))
    store.tag(image_id, "host:5000/team/app:1")
    store.tag(image_id, "busybox:latest")
    store.tag(other, "host.example/library/alpine:3")
    wanted = {
        "busybox": image_id,
        "busybox:latest": image_id,
        "host:5000/team/app:1": image_id,
        "host.example/library/alpine:3": other,
        other: other,
        other[:12]: other,
        f"sha256:{image_id}": image_id,
        f"sha256:{image_id[:20]}": image_id,
    }
    assert {text: store.resolve(text).id for text in wanted} == wanted
    assert store.resolve("busybox").names == ("busybox:latest", "host:5000/team/app:1")


def test_a_name_wins_over_an_id(store: ImageStore) -> None:
    first, second = store.add(config("a")), store.add(config("b"))
    store.tag(second, f"{first[:12]}:latest")
    assert store.resolve(first[:12]).id == second


def test_an_ambiguous_id(store: ImageStore) -> None:
    ids = [store.add(config(str(number))) for number in range(17)]  # 16 first digits
    start = next(i[0] for i in ids if sum(other[0] == i[0] for other in ids) > 1)
    with pytest.raises(LxcpyError, match="is the start of") as caught:
        store.resolve(start)
    assert not isinstance(caught.value, NotFoundError)


@pytest.mark.parametrize(
    "text", ["nothing", "", "sha256:", "0" * 64, "0" * 65, "../x", "A B", "sha256:zz", "names"]
)
def test_unknown(store: ImageStore, text: str) -> None:
    store.tag(store.add(config("a")), "x:latest")
    with pytest.raises(NotFoundError) as caught:
        store.resolve(text)
    assert caught.value.message == f"No such image: {text}"
    assert caught.value.hint


def test_a_name_moves(store: ImageStore) -> None:
    first, second = store.add(config("a")), store.add(config("b"))
    store.tag(first, "app:1")
    store.tag(second, "app:1")
    assert (store.get(first).names, store.get(second).names) == ((), ("app:1",))
    store.untag("app:1")
    assert store.get(second).names == ()
    with pytest.raises(NotFoundError, match="No such image: app:1"):
        store.untag("app:1")


def test_tags_only_what_is_there(store: ImageStore) -> None:
    with pytest.raises(NotFoundError):
        store.tag("0" * 64, "app:1")


def test_delete_takes_the_names_too(store: ImageStore) -> None:
    image_id = store.add(config("a"))
    store.tag(image_id, "a:1")
    store.tag(image_id, "a:2")
    store.delete(image_id)
    store.delete(image_id)
    assert (store.all(), store.find(image_id)) == ([], None)
    assert '"names":{}' in Path(store.images_dir, "names.json").read_text()


def test_a_broken_image_hurts_no_other(store: ImageStore, caplog: pytest.LogCaptureFixture) -> None:
    good, bad = store.add(config("a")), store.add(config("b"))
    path = Path(store.images_dir, f"{bad}.json")
    path.write_text("{")
    with caplog.at_level(logging.WARNING):
        assert [image.id for image in store.all()] == [good]
    assert f"{path} is damaged" in caplog.text
    assert [f"{path} is damaged" in error.message for error in store.load_all()[1]] == [True]
    with pytest.raises(LxcpyError, match="is damaged"):
        store.get(bad)


@pytest.mark.parametrize("text", ["{", '{"version":1,"names":[]}', '{"version":1,"names":{"a":1}}'])
def test_broken_names_are_an_error_that_names_the_file(store: ImageStore, text: str) -> None:
    Path(store.images_dir, "names.json").write_text(text)
    with pytest.raises(LxcpyError, match="names.json is damaged"):
        store.all()


def test_an_empty_store(tmp_path: Path) -> None:
    assert ImageStore(str(tmp_path / "missing")).all() == []


def test_strangers_files_are_no_images(store: ImageStore) -> None:
    Path(store.images_dir, ".x.json.12").write_text("half")
    Path(store.images_dir, "y.json").write_text("{")
    assert store.load_all() == ([], [])
