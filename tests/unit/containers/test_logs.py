import os
import tempfile
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxcpy import monitor
from lxcpy.containers import logs
from lxcpy.containers.logs import Piece
from lxcpy.errors import LxcpyError

streams = st.sampled_from([b"stdout", b"stderr"])
data = st.binary(min_size=1) | st.lists(
    st.sampled_from([b"\n", b"a b", b"\r\n", b" ", b"F ", b"stderr F x", b"\0"]), min_size=1
).map(b"".join)


def write(path: str, chunks: list[tuple[bytes, bytes]]) -> None:
    log = monitor.Log(path)
    try:
        for stream, text in chunks:
            log.write(stream, text)
    finally:
        os.close(log.fd)


@given(st.lists(st.tuples(streams, data)))
def test_what_the_monitor_writes_is_read_back(chunks: list[tuple[bytes, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/log"
        write(path, chunks)
        found = list(logs.read(path))
    expected = [
        Piece(stream.decode(), b"".join(text for _, text in same))
        for stream, same in groupby(chunks, lambda chunk: chunk[0])
    ]
    assert expected == found


@given(st.lists(st.tuples(streams, data)), st.integers(1, 40))
def test_blocks_may_end_anywhere(chunks: list[tuple[bytes, bytes]], block: int) -> None:
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        path = f"{directory}/log"
        write(path, chunks)
        patch.setattr(logs, "BLOCK", block)
        found = list(logs.read(path))
    for stream in ("stdout", "stderr"):
        expected = b"".join(text for name, text in chunks if name == stream.encode())
        assert expected == b"".join(piece.data for piece in found if piece.stream == stream)


def test_lines_have_time_stream_and_tag(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write(str(path), [(b"stdout", b"one\ntwo\nthr"), (b"stderr", b"e\n"), (b"stdout", b"ee\n")])
    fields = [line.split(b" ", 3) for line in path.read_bytes().splitlines()]
    assert [line[1:] for line in fields] == [
        [b"stdout", b"F", b"one"],
        [b"stdout", b"F", b"two"],
        [b"stdout", b"P", b"thr"],
        [b"stderr", b"F", b"e"],
        [b"stdout", b"F", b"ee"],
    ]
    assert {len(line[0]) for line in fields} == {len("2024-05-06T07:08:09.000000000Z")}


@pytest.mark.parametrize(
    "text", [b"2024 stdout F one\n2024 stdout F tw", b"2024 std\n2024 stdout F one\n2024"]
)
def test_a_line_cut_short_is_passed_over(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "log").write_bytes(text)
    assert list(logs.read(f"{tmp_path}/log")) == [Piece("stdout", b"one\n")]


def test_no_log_is_empty(tmp_path: Path) -> None:
    assert list(logs.read(f"{tmp_path}/log")) == []


def test_a_log_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("log")
    with pytest.raises(LxcpyError, match=r"cannot read the log .*: Too many levels"):
        list(logs.read(f"{tmp_path}/log"))
