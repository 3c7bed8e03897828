import os
from pathlib import Path

import pytest

from lxcpy import shell
from lxcpy.errors import CommandError, LxcpyError


@pytest.fixture
def bin_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is the whole path for programs."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setattr(shell, "PATH", f"{tmp_path}/none:{directory}")
    return directory


def put(directory: Path, name: str, script: str) -> str:
    program = directory / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


def test_a_program_is_found_on_the_fixed_path(bin_directory: Path) -> None:
    expected = put(bin_directory, "zstd", "exit 0")
    assert expected == shell.find("zstd")
    assert shell.find("./mine") == "./mine"


@pytest.mark.usefixtures("bin_directory")
@pytest.mark.parametrize(
    ("program", "hint"),
    [("lxc-start", "apt-get install lxc"), ("xz", "apt-get install xz-utils"), ("odd", None)],
)
def test_a_missing_program_names_its_package(program: str, hint: str | None) -> None:
    with pytest.raises(LxcpyError) as caught:
        shell.find(program)
    assert caught.value.message == f"program {program} is not installed"
    assert caught.value.hint == hint


def test_a_file_that_is_no_program_is_not_found(bin_directory: Path) -> None:
    os.chmod(put(bin_directory, "odd", "exit 0"), 0o644)
    with pytest.raises(LxcpyError, match="program odd is not installed"):
        shell.find("odd")


@pytest.mark.allow_programs
def test_run_keeps_what_a_program_says(bin_directory: Path, tmp_path: Path) -> None:
    put(bin_directory, "tool", r"""cat; printf '%s|' "$PWD" "$LANG" "$HOME" "$@"; echo bad >&2""")
    done = shell.run(["tool", "a b", "*"], stdin=b"in\xff\n", cwd=str(tmp_path))
    assert done.stdout == b"in\xff\n%s|C.UTF-8||a b|*|" % os.fsencode(tmp_path)
    assert (done.stderr, done.code) == ("bad\n", 0)


@pytest.mark.allow_programs
def test_run_raises_for_an_unexpected_status(bin_directory: Path) -> None:
    put(bin_directory, "tool", "echo first >&2; echo last >&2; exit 3")
    with pytest.raises(CommandError) as caught:
        shell.run(["tool", "x"])
    assert caught.value.message == "tool exited with status 3: last"
    assert (caught.value.code, caught.value.details) == (3, "first\nlast\n")
    assert shell.run(["tool"], ok=(0, 3)).code == 3


@pytest.mark.allow_programs
def test_run_tells_a_signal(bin_directory: Path) -> None:
    put(bin_directory, "tool", "kill -9 $$")
    with pytest.raises(CommandError, match="tool was killed by signal 9: it said nothing"):
        shell.run(["tool"])


@pytest.mark.allow_programs
@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 5", 5), ("kill -15 $$", -15)])
def test_status_is_the_exit_status(bin_directory: Path, script: str, code: int) -> None:
    put(bin_directory, "tool", f"echo words; {script}")
    assert code == shell.status(["tool"])


@pytest.mark.allow_programs
def test_reading_is_what_a_program_makes_of_a_file(bin_directory: Path, tmp_path: Path) -> None:
    put(bin_directory, "upper", "exec tr a-z A-Z")
    (tmp_path / "file").write_bytes(b"words")
    with (
        open(tmp_path / "file", "rb") as file,
        shell.reading(["upper"], file.fileno()) as out,
        open(out, "rb", closefd=False) as stream,
    ):
        assert stream.read() == b"WORDS"


@pytest.mark.allow_programs
def test_reading_raises_at_the_end_for_a_program_that_failed(bin_directory: Path) -> None:
    put(bin_directory, "tool", "echo out; echo not in gzip format >&2; exit 1")
    said = []

    def read_all(null: int) -> None:
        with shell.reading(["tool"], null) as out:
            said.extend([os.read(out, 64), os.read(out, 64)])

    null = os.open(os.devnull, os.O_RDONLY)
    with pytest.raises(CommandError, match="tool exited with status 1: not in gzip format"):
        read_all(null)
    os.close(null)
    assert said == [b"out\n", b""]


@pytest.mark.allow_programs
def test_reading_may_stop_early(bin_directory: Path) -> None:
    put(bin_directory, "tool", "exec cat /dev/zero")
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        with shell.reading(["tool"], null) as out:
            assert os.read(out, 4) == b"\0\0\0\0"
    finally:
        os.close(null)


@pytest.mark.usefixtures("bin_directory")
def test_reading_with_a_missing_program_leaks_no_descriptor() -> None:
    before = os.listdir("/proc/self/fd")
    with (
        pytest.raises(LxcpyError, match="program gzip is not installed"),
        shell.reading(["gzip"], 0),
    ):
        pass
    assert before == os.listdir("/proc/self/fd")
