"""The diff of a branch; the real thing is proved against mounts in tests/integration."""

import os
from pathlib import Path

import pytest

from lxcpy.errors import LxcpyError
from lxcpy.storage.changes import MAX_DEPTH, changes
from lxcpy.storage.whiteouts import AufsFormat
from tests.unit.storage.test_union import make

OLD = 1_500_000_000


def diff(top: Path) -> list[str]:
    layers = [f"{top}/middle", f"{top}/bottom"]
    return [f"{c.kind} {c.path}" for c in changes(AufsFormat(), layers, f"{top}/upper")]


@pytest.fixture
def top(tmp_path: Path) -> Path:
    for branch in ("upper", "middle", "bottom"):
        (tmp_path / branch).mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ([], []),
        (["upper/a"], ["A /a"]),
        (["upper/d/f"], ["A /d", "A /d/f"]),
        (["bottom/d/", "upper/d/"], []),
        (["bottom/d/", "upper/d/f"], ["C /d", "A /d/f"]),
        (["bottom/d/e/", "upper/d/e/f", "upper/d/a"], ["C /d", "A /d/a", "C /d/e", "A /d/e/f"]),
        (["bottom/d/", "bottom/b", "upper/d/", "upper/b"], ["C /b"]),
        (["bottom/f", "upper/.wh.f"], ["D /f"]),
        (["middle/.wh.f", "bottom/f", "upper/.wh.f"], []),
        (["middle/.wh.f", "bottom/f", "upper/f"], ["A /f"]),
        (["upper/.wh.hosts"], []),
        (["bottom/hosts", "bottom/osts", "upper/.wh.hosts"], ["D /hosts"]),
        (["bottom/d/x", "upper/d"], ["C /d"]),
        (["bottom/d", "upper/d/x"], ["C /d", "A /d/x"]),
        (["bottom/d/x", "bottom/d/y/z", "upper/d/.wh..wh..opq"], ["C /d", "D /d/x", "D /d/y"]),
        (["bottom/d/", "upper/d/.wh..wh..opq"], []),
        (
            ["bottom/d/s/x", "upper/d/.wh..wh..opq", "upper/d/s/y"],
            ["C /d", "C /d/s", "D /d/s/x", "A /d/s/y"],
        ),
        (["upper/.wh..wh.aufs", "upper/.wh..wh.plnk/1.2", "upper/.wh..wh.orph/"], []),
        (["bottom/l -> a", "upper/l -> b"], ["C /l"]),
    ],
)
def test_changes(top: Path, made: list[str], expected: list[str]) -> None:
    make(str(top), *made)
    assert expected == diff(top)


def test_a_copy_without_a_change_is_none_but_new_bytes_under_an_old_time_are(top: Path) -> None:
    for branch in ("bottom", "upper"):
        for name in ("same", "other"):
            (top / branch / name).write_text("text")
            os.utime(top / branch / name, (OLD, OLD))
    (top / "upper/other").write_text("TEXT")
    os.utime(top / "upper/other", (OLD, OLD))
    assert diff(top) == ["C /other"]


@pytest.mark.parametrize("name", ["f", "d/"])
def test_a_new_mode_is_a_change(top: Path, name: str) -> None:
    make(str(top), f"bottom/{name}", f"upper/{name}")
    for branch, mode in (("bottom", 0o700), ("upper", 0o750)):
        os.chmod(top / branch / name, mode)
        os.utime(top / branch / name, (OLD, OLD))
    assert diff(top) == [f"C /{name.rstrip('/')}"]


def test_the_root_directory_is_never_listed(top: Path) -> None:
    os.chmod(top / "upper", 0o711)
    assert diff(top) == []


def test_names_that_are_not_utf8_are_kept(top: Path) -> None:
    Path(os.fsdecode(f"{top}/upper/".encode() + b"\xff")).touch()
    assert diff(top) == ["A /\udcff"]


def test_a_deep_tree_is_an_error_and_not_a_traceback(top: Path) -> None:
    directory = os.open(top / "upper", os.O_DIRECTORY)
    for _ in range(MAX_DEPTH + 2):
        os.mkdir("d", dir_fd=directory)
        inner = os.open("d", os.O_DIRECTORY, dir_fd=directory)
        os.close(directory)
        directory = inner
    os.close(directory)
    with pytest.raises(LxcpyError, match="nested deeper than 500"):
        diff(top)


def test_a_missing_branch_is_an_error(top: Path) -> None:
    with pytest.raises(LxcpyError, match="cannot compare"):
        list(changes(AufsFormat(), [], f"{top}/missing"))
