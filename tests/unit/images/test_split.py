import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxcpy.errors import LxcpyError
from lxcpy.images import split
from tests.unit.images.tars import Entry, directory, entry, hard_link, make, symlink, unpack_bytes

NAMES = st.sampled_from(["a", "b", "c", "a/b", "a/c", "b/a", ".wh.a", "b/.wh..wh..opq", "é" * 70])
CONTENT = st.one_of(st.binary(max_size=40), st.sampled_from([b"x" * 511, b"y" * 512, b"z" * 5000]))
SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "99999"}


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    name = draw(NAMES)
    kind = draw(st.sampled_from("ffffdslp"))
    if kind == "d":
        return directory(name)
    if kind == "s":
        return symlink(name, draw(st.sampled_from(["a", "nowhere", "b"])))
    if kind == "l":
        return hard_link(name, draw(NAMES))
    if kind == "p":
        content = b"2\n512\n3\n90000\n2\n".ljust(512, b"\0") + draw(
            st.binary(min_size=5, max_size=5)
        )
        return entry(name, content, pax_headers=SPARSE)
    mtime = draw(st.sampled_from([0, 1, 1.5, -1, 1e10]))
    return entry(name, draw(CONTENT), mtime=mtime, uname=draw(st.sampled_from(["", "root"])))


def rebuilt(index: io.BytesIO, fs: Path) -> bytes:
    out = io.BytesIO()
    split.rebuild(index, str(fs), out)
    return out.getvalue()


@given(
    st.lists(entries(), max_size=9),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
    st.binary(max_size=3),
)
def test_rebuilds_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, made: list[Entry], form: int, trailer: bytes
) -> None:
    data = make(made, form) + trailer
    fs = tmp_path_factory.mktemp("fs")
    index = io.BytesIO()
    try:
        got = unpack_bytes(data, str(fs), index=index)
    except LxcpyError:  # such as a file below a file; the tests of archive look at these
        return
    again = rebuilt(index, fs)
    assert got.diff_id == f"sha256:{hashlib.sha256(again).hexdigest()}"
    assert data == again


@pytest.mark.parametrize(
    "made",
    [
        [entry("a", b"1" * 2_000_000), entry("a", b"2"), entry("a", b"3" * 700)],
        [directory("d"), entry("d/a", b"1"), entry("d/b", b"2" * 9000), entry("d", b"3")],
        [entry("a", b"1"), hard_link("b", "a"), entry("a", b"2"), hard_link("c", "b")],
        [symlink("s", "d"), directory("d"), entry("s/a", b"1"), entry("s", b"2"), entry("d/a")],
        [entry(".wh.a", b"a whiteout with content"), entry(".wh..wh.aufs", b"and another")],
    ],
)
def test_keeps_what_a_later_entry_replaced(tmp_path: Path, made: list[Entry]) -> None:
    data = make(made)
    index = io.BytesIO()
    unpack_bytes(data, str(tmp_path), index=index)
    assert data == rebuilt(index, tmp_path)


def test_index_holds_no_content(tmp_path: Path) -> None:
    index = io.BytesIO()
    unpack_bytes(make([entry("f", os.urandom(1_000_000))]), str(tmp_path), index=index)
    assert len(index.getvalue()) < 1000


@pytest.fixture
def layer(tmp_path: Path) -> tuple[io.BytesIO, Path]:
    index = io.BytesIO()
    unpack_bytes(make([entry("d/f", b"content"), entry("g")]), str(tmp_path), index=index)
    return index, tmp_path


def test_misses_a_file(layer: tuple[io.BytesIO, Path]) -> None:
    (layer[1] / "d/f").unlink()
    with pytest.raises(LxcpyError, match="a layer lacks d/f: No such file"):
        rebuilt(*layer)


def test_misses_bytes(layer: tuple[io.BytesIO, Path]) -> None:
    (layer[1] / "d/f").write_bytes(b"con")
    with pytest.raises(LxcpyError, match="d/f is 4 bytes short"):
        rebuilt(*layer)


def test_follows_no_link(layer: tuple[io.BytesIO, Path]) -> None:
    (layer[1] / "d/f").unlink()
    (layer[1] / "d/f").symlink_to("/etc/passwd")
    with pytest.raises(LxcpyError, match="a layer lacks d/f"):
        rebuilt(*layer)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda good: b"", "unknown format of no bytes"),
        (lambda good: b"\x09" + good[1:], "unknown format 09"),
        (lambda good: good[:-9], "ends too early"),
        (lambda good: good[:1] + b"nonsense", "index is damaged"),
        (lambda good: good[:1] + zlib.compress(b"R\xff\xff\xff\xff"), "ends too early"),
    ],
)
def test_says_that_the_index_is_damaged(
    layer: tuple[io.BytesIO, Path], damage: Callable[[bytes], bytes], message: str
) -> None:
    with pytest.raises(LxcpyError, match=message):
        rebuilt(io.BytesIO(damage(layer[0].getvalue())), layer[1])
