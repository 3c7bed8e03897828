import io
import os
from pathlib import Path

import pytest

from lxcpy import kernel
from lxcpy.errors import LxcpyError, NotFoundError
from lxcpy.images.layers import LayerStore
from lxcpy.model import Layer
from tests.unit.images.branch import PlainBranch
from tests.unit.images.tars import directory, entry, make

TAR = make([directory("d"), entry("d/f", b"content")])
UNKNOWN = f"sha256:{'0' * 64}"


@pytest.fixture
def store(tmp_path: Path) -> LayerStore:
    (tmp_path / "layers").mkdir()
    (tmp_path / "scratch").mkdir()
    return LayerStore(str(tmp_path / "layers"), str(tmp_path / "scratch"), PlainBranch())


def test_adds_once(store: LayerStore) -> None:
    layer = store.add(io.BytesIO(TAR))
    assert layer == store.add(io.BytesIO(TAR))
    assert [layer] == store.all()
    assert layer == store.get(layer.diff_id)
    assert f"{store.layers_dir}/{layer.diff_id[7:19]}" == layer.directory
    assert layer.size == 7
    assert Path(layer.fs, "d/f").read_bytes() == b"content"
    assert os.listdir(store.scratch_dir) == []


def test_gives_the_tar_again(store: LayerStore) -> None:
    out = io.BytesIO()
    store.tar(store.add(io.BytesIO(TAR)).diff_id, out)
    assert out.getvalue() == TAR


def test_notices_changed_files(store: LayerStore) -> None:
    layer = store.add(io.BytesIO(TAR))
    Path(layer.fs, "d/f").write_bytes(b"CONTENT")
    with pytest.raises(LxcpyError, match="is damaged: its tar has the checksum"):
        store.tar(layer.diff_id, io.BytesIO())


def test_lengthens_a_name_that_is_taken(store: LayerStore) -> None:
    first = store.add(io.BytesIO(TAR))
    store.delete(first.diff_id)
    os.mkdir(first.directory)
    Path(first.directory, "layer.json").write_text(
        f'{{"version":1,"diff_id":"{UNKNOWN}","size":0}}'
    )
    again = store.add(io.BytesIO(TAR))
    assert Layer(first.diff_id, f"{store.layers_dir}/{first.diff_id[7:23]}", 7) == again
    assert again == store.find(first.diff_id)


def test_deletes(store: LayerStore) -> None:
    layer = store.add(io.BytesIO(TAR))
    store.delete(layer.diff_id)
    store.delete(layer.diff_id)
    assert store.find(layer.diff_id) is None
    assert (os.listdir(store.layers_dir), os.listdir(store.scratch_dir)) == ([], [])
    with pytest.raises(NotFoundError, match=f"layer {layer.diff_id} is missing"):
        store.get(layer.diff_id)


@pytest.mark.parametrize("data", [TAR[:1100], b"x" * 512, make([entry("../f")])])
def test_leaves_nothing_of_a_bad_tar(store: LayerStore, data: bytes) -> None:
    with pytest.raises(LxcpyError):
        store.add(io.BytesIO(data))
    assert (os.listdir(store.layers_dir), os.listdir(store.scratch_dir)) == ([], [])


@pytest.mark.parametrize("diff_id", ["", "sha256:", "../x", UNKNOWN.upper(), f"{UNKNOWN}0"])
def test_takes_no_other_id(store: LayerStore, diff_id: str) -> None:
    with pytest.raises(LxcpyError, match="is no layer id"):
        store.find(diff_id)


def test_sweeps_what_the_dead_left(store: LayerStore) -> None:
    pid = os.getpid()
    alive, dead = f"layer-{pid}-{kernel.start_time(pid)}-00", f"layer-{pid}-1-00"
    for name in (alive, dead, "notes"):
        os.makedirs(f"{store.scratch_dir}/{name}/fs")
    assert [dead] == store.sweep_scratch()
    assert {alive, "notes"} == set(os.listdir(store.scratch_dir))


@pytest.mark.parametrize("record", ["nonsense", '{"version":1}'])
def test_names_a_damaged_record(store: LayerStore, record: str) -> None:
    layer = store.add(io.BytesIO(TAR))
    Path(layer.directory, "layer.json").write_text(record)
    with pytest.raises(LxcpyError, match=r"layer.json is damaged"):
        store.all()
