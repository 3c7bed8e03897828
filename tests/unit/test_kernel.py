import os
from collections.abc import Iterator

import pytest

from lxcpy import kernel


@pytest.fixture
def zombie() -> Iterator[int]:
    """A child that has ended and whose status nobody has taken."""
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    yield pid
    os.waitpid(pid, 0)


def test_a_process_is_known_by_pid_and_start() -> None:
    pid, start = os.getpid(), kernel.start_time(os.getpid())
    assert start is not None
    assert kernel.alive(pid, start)
    assert not kernel.alive(pid, start + 1)
    fd = kernel.open_process(pid, start)
    assert fd is not None
    os.close(fd)
    assert kernel.open_process(pid, start + 1) is None


def test_a_zombie_is_not_alive(zombie: int) -> None:
    assert kernel.start_time(zombie) is None
    assert kernel.open_process(zombie, 1) is None


def test_a_process_that_is_gone_has_no_start() -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    assert kernel.start_time(pid) is None
    assert kernel.open_process(pid, 1) is None


def test_a_name_with_brackets_does_not_move_the_fields() -> None:
    expected = kernel.start_time(os.getpid())
    with open("/proc/self/comm", "r+", encoding="utf-8") as file:
        name = file.read()
        file.write(") Z 1 (")
        file.flush()
        try:
            assert expected == kernel.start_time(os.getpid())
        finally:
            file.write(name)


def test_the_boot_has_an_id() -> None:
    assert len(kernel.boot_id()) == 36


def test_file_systems_are_names_alone() -> None:
    assert {"proc", "tmpfs"} <= kernel.filesystems()


def test_now_is_rfc_3339_with_nanoseconds() -> None:
    text = kernel.now()
    assert len(text) == len("2024-05-06T07:08:09.123456789Z")
    assert (text[10], text[19], text[-1]) == ("T", ".", "Z")
