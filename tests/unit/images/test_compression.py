import os
from pathlib import Path

import pytest

from lxcpy.images.compression import decompressed


def read_all(fd: int, step: int = 7) -> bytes:
    with decompressed(fd) as stream:
        return b"".join(iter(lambda: stream.read(step), b""))


@pytest.mark.parametrize("data", [b"", b"a", b"plain text that is long enough"])
def test_a_pipe_loses_nothing(data: bytes) -> None:
    out, into = os.pipe()
    os.write(into, data)
    os.close(into)
    try:
        assert read_all(out) == data
    finally:
        os.close(out)


def test_a_file_is_read_from_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    os.lseek(fd, 4, os.SEEK_SET)
    try:
        assert read_all(fd) == b"456789"
    finally:
        os.close(fd)
