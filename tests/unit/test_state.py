import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lxcpy import state
from lxcpy.errors import LxcpyError


def fork(act: Callable[[], None]) -> int:
    """Run a function in a child process, whose status is 0 when it returned."""
    if pid := os.fork():
        return pid
    status = 1
    try:
        act()
        status = 0
    finally:
        os._exit(status)


def status_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("durable", [True, False])
def test_a_written_file_is_alone_and_has_its_mode(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    before = os.umask(0o077)
    try:
        state.write_file(str(path), b"new", mode=0o644, durable=durable)
    finally:
        os.umask(before)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o7777 == 0o644
    assert os.listdir(tmp_path) == ["file"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(_fd: int, _data: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(LxcpyError) as caught:
        state.write_file(str(path), b"new")
    assert caught.value.message == f"cannot write {path}: No space left on device"
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data)[:3]))
    state.write_file(f"{tmp_path}/file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_a_record_comes_back(tmp_path: Path) -> None:
    path = f"{tmp_path}/record.json"
    state.write_record(path, {"name": "grün\udcff", "list": [1, None]})
    assert state.read_record(path) == {"version": 1, "name": "grün\udcff", "list": [1, None]}


def test_no_record_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert state.read_record(f"{tmp_path}/none.json") is None
    assert state.read_record(f"{tmp_path}/file/none.json") is None


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b"[]", b"{}", b'{"version":"1"}', b"\0" * 64, b"[" * 100_000]
)
def test_a_broken_record_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(data)
    with pytest.raises(LxcpyError, match=r"record\.json is damaged: "):
        state.read_record(str(path))


def test_a_newer_record_is_named(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(b'{"version":2}')
    with pytest.raises(LxcpyError, match=r"record\.json has format 2, this lxcpy knows 1") as error:
        state.read_record(str(path))
    assert "update" in (error.value.hint or "")


def test_a_record_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(LxcpyError, match=r"cannot read .*: Is a directory"):
        state.read_record(str(tmp_path))


def test_a_lock_excludes_other_processes(tmp_path: Path) -> None:
    path, counter = f"{tmp_path}/lock", tmp_path / "counter"
    counter.write_text("0")

    def count() -> None:
        for _ in range(50):
            with state.lock(path, what="the counter"):
                value = int(counter.read_text())
                counter.write_text(f"{value + 1}")

    children = [fork(count) for _ in range(3)]
    assert [status_of(pid) for pid in children] == [0, 0, 0]
    assert counter.read_text() == "150"


def test_a_lock_falls_with_its_holder_and_the_error_names_it(tmp_path: Path) -> None:
    path = f"{tmp_path}/lock"
    held, tell = os.pipe()
    end, hold = os.pipe()

    def holder() -> None:
        os.close(hold)
        with state.lock(path, what="it"):
            os.write(tell, b"x")
            os.read(end, 1)
            os._exit(7)  # without a release

    pid = fork(holder)
    os.read(held, 1)
    with (
        pytest.raises(LxcpyError) as caught,
        state.lock(path, what="container web", timeout_s=0.02),
    ):
        pass
    assert caught.value.message == f"container web is busy: process {pid} held its lock for 0 s"
    assert caught.value.hint == f"look at it with: ps -fp {pid}"
    os.close(hold)
    assert status_of(pid) == 7
    with state.lock(path, what="it", timeout_s=0):
        assert not is_free(path)
    for fd in (held, tell, end):
        os.close(fd)


def is_free(path: str) -> bool:
    fd = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def test_the_lock_of_an_unlinked_file_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{tmp_path}/lock"
    flock = fcntl.flock
    removed: list[str] = []

    def remove_first(fd: int, how: int) -> None:
        if not removed:
            removed.append(path)
            state.discard_lock(path)  # its holder removed the thing between our open and flock
        flock(fd, how)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with state.lock(path, what="it"):
        assert removed == [path]
        assert not is_free(path)
    assert is_free(path)


def test_an_error_inside_releases_the_lock(tmp_path: Path) -> None:
    path = f"{tmp_path}/lock"
    with pytest.raises(KeyError), state.lock(path, what="it"):
        raise KeyError
    assert is_free(path)


def test_discarding_no_lock_is_no_error(tmp_path: Path) -> None:
    state.discard_lock(f"{tmp_path}/none")
    assert os.listdir(tmp_path) == []
