import hashlib
import io
import os
import threading
from pathlib import Path

import pytest

from lxcpy import kernel
from lxcpy.errors import LxcpyError, NotFoundError
from lxcpy.images import layers
from lxcpy.images.layers import LayerStore
from tests.unit.images.branch import PlainBranch
from tests.unit.images.tars import directory, entry, make

GONE = "sha256:" + "0" * 64


@pytest.fixture
def store(tmp_path: Path) -> LayerStore:
    for name in ("layers", "scratch"):
        (tmp_path / name).mkdir()
    return LayerStore(str(tmp_path / "layers"), str(tmp_path / "scratch"), PlainBranch())


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_adds_a_layer_under_a_short_name(store: LayerStore) -> None:
    data = make([directory("./", 0o750), entry("f", b"content")])
    layer = store.add(io.BytesIO(data))
    assert (layer.diff_id, layer.size) == (sha256(data), 7)
    assert layer.directory == f"{store.layers_dir}/{sha256(data)[7:19]}"
    assert sorted(os.listdir(layer.directory)) == ["fs", "index", "layer.json"]
    assert Path(layer.fs).stat().st_mode == 0o40750
    assert (store.get(layer.diff_id), store.all()) == (layer, [layer])
    assert os.listdir(store.scratch_dir) == []


def test_the_root_is_0755_without_an_entry_of_its_own(store: LayerStore) -> None:
    previous = os.umask(0o077)
    try:
        layer = store.add(io.BytesIO(make([entry("f")])))
    finally:
        os.umask(previous)
    assert Path(layer.fs).stat().st_mode == 0o40755


def test_adding_again_gives_the_same(store: LayerStore) -> None:
    data = make([entry("f")])
    assert store.add(io.BytesIO(data)) == store.add(io.BytesIO(data))
    assert (len(store.all()), os.listdir(store.scratch_dir)) == (1, [])


def test_two_at_once_both_succeed(store: LayerStore) -> None:
    data = make([entry("f", b"x" * 100_000)])
    together = threading.Barrier(2)

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            piece = super().read(size)
            if not piece:
                together.wait()  # both are unpacked, neither is in place
            return piece

    found = []
    threads = [threading.Thread(target=lambda: found.append(store.add(Slow(data)))) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [store.get(sha256(data))] * 2
    assert os.listdir(store.scratch_dir) == []


def test_a_taken_name_becomes_longer(store: LayerStore) -> None:
    first = store.add(io.BytesIO(make([entry("first")])))
    data = make([entry("second")])
    short = f"{store.layers_dir}/{sha256(data)[7:19]}"
    os.rename(first.directory, short)
    second = store.add(io.BytesIO(data))
    assert second.directory == f"{store.layers_dir}/{sha256(data)[7:23]}"
    os.rename(short, first.directory)
    assert store.get(second.diff_id) == second


def test_a_damaged_tar_leaves_nothing(store: LayerStore) -> None:
    with pytest.raises(LxcpyError, match="damaged"):
        store.add(io.BytesIO(make([entry("f", b"x" * 5000)])[:2000]))
    assert (os.listdir(store.layers_dir), os.listdir(store.scratch_dir)) == ([], [])


def test_tar_gives_the_same_bytes(store: LayerStore) -> None:
    data = make([entry("f", b"1"), entry("f", b"2"), entry(".wh.x")])
    out = io.BytesIO()
    store.tar(store.add(io.BytesIO(data)).diff_id, out)
    assert out.getvalue() == data


def test_tar_notices_a_changed_file(store: LayerStore) -> None:
    layer = store.add(io.BytesIO(make([entry("f", b"content")])))
    Path(layer.fs, "f").write_bytes(b"CONTENT")
    with pytest.raises(LxcpyError, match="is damaged: its tar has the checksum"):
        store.tar(layer.diff_id, io.BytesIO())


def test_tar_without_an_index(store: LayerStore) -> None:
    layer = store.add(io.BytesIO(make([entry("f")])))
    os.unlink(f"{layer.directory}/index")
    with pytest.raises(LxcpyError, match="it has no index"):
        store.tar(layer.diff_id, io.BytesIO())


def test_delete(store: LayerStore) -> None:
    layer = store.add(io.BytesIO(make([entry("f")])))
    store.delete(layer.diff_id)
    store.delete(layer.diff_id)
    assert (store.all(), os.listdir(store.scratch_dir)) == ([], [])


def test_what_is_not_there(store: LayerStore) -> None:
    assert store.find(GONE) is None
    with pytest.raises(NotFoundError, match="is missing"):
        store.get(GONE)


@pytest.mark.parametrize("diff_id", ["", "sha256:12", "sha256:../../etc", "sha256:" + "G" * 64])
def test_refuses_what_is_no_id(store: LayerStore, diff_id: str) -> None:
    with pytest.raises(LxcpyError, match="is no layer id"):
        store.find(diff_id)


@pytest.mark.parametrize(
    "text", ["nonsense", '{"version":1}', '{"version":1,"diff_id":"x","size":[]}']
)
def test_names_a_broken_record(store: LayerStore, text: str) -> None:
    layer = store.add(io.BytesIO(make([entry("f")])))
    Path(layer.directory, "layer.json").write_text(text)
    with pytest.raises(LxcpyError, match="layer.json is damaged"):
        store.get(layer.diff_id)


def test_sweeps_only_what_the_dead_left(store: LayerStore) -> None:
    mine = f"layer-{os.getpid()}-{kernel.start_time(os.getpid())}-aa"
    dead = f"layer-{os.getpid()}-1-bb"
    for name in (mine, dead, "other"):
        os.makedirs(f"{store.scratch_dir}/{name}/fs")
    assert store.sweep_scratch() == [dead]
    assert sorted(os.listdir(store.scratch_dir)) == sorted([mine, "other"])


def test_a_full_disk_is_one_error(store: LayerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(layers, "_sync_file_system", full)
    with pytest.raises(LxcpyError, match="No space left on device"):
        store.add(io.BytesIO(make([entry("f")])))
    assert (os.listdir(store.layers_dir), os.listdir(store.scratch_dir)) == ([], [])
