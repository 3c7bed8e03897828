"""Reading a union without a mount; AUFS's marks are plain files, so no root is needed."""

import os
import stat
from pathlib import Path

import pytest

from lxcpy.errors import LxcpyError
from lxcpy.storage.union import Union
from lxcpy.storage.whiteouts import AufsFormat, PlainFormat


@pytest.fixture
def top(tmp_path: Path) -> str:
    for branch in ("upper", "middle", "bottom"):
        (tmp_path / branch).mkdir()
    return str(tmp_path)


def union(top: str) -> Union:
    return Union(AufsFormat(), [f"{top}/{branch}" for branch in ("upper", "middle", "bottom")])


def make(top: str, *paths: str) -> None:
    """Directories (a slash at the end), links (an arrow) and files that hold their path."""
    for path in paths:
        name, _, target = path.partition(" -> ")
        os.makedirs(os.path.dirname(f"{top}/{name}"), exist_ok=True)
        if target:
            os.symlink(target, f"{top}/{name}")
        elif not name.endswith("/"):
            Path(f"{top}/{name}").write_text(name)


@pytest.mark.parametrize(
    ("made", "path", "expected"),
    [
        (["bottom/f"], "/f", "bottom/f"),
        (["upper/f", "bottom/f"], "/f", "upper/f"),
        (["upper/.wh.f", "bottom/f"], "/f", None),
        (["middle/.wh.f", "upper/f", "bottom/f"], "/f", "upper/f"),
        (["middle/.wh.d", "upper/d/a", "bottom/d/b"], "/d/b", None),
        (["upper/d/", "bottom/d/b"], "/d/b", "bottom/d/b"),
        (["upper/d/.wh..wh..opq", "bottom/d/b"], "/d/b", None),
        (["middle/d/.wh..wh..opq", "upper/d/", "middle/d/m", "bottom/d/b"], "/d/m", "middle/d/m"),
        (["upper/d", "bottom/d/b"], "/d/b", None),
        (["upper/d/", "middle/d", "bottom/d/b"], "/d/b", None),
        (["upper/.wh..wh..opq", "bottom/f"], "/f", "bottom/f"),
        (["upper/.wh..wh.plnk/f"], "/.wh..wh.plnk/f", None),
        (["upper/.wh.f"], "/.wh.f", None),
        (["bottom/f"], "/f/below", None),
        (["bottom/f"], "/missing", None),
        ([], "/", "upper"),
        (["bottom/l -> f", "bottom/f"], "/l", "bottom/l"),
        (["bottom/l -> d", "upper/d/f"], "/l/f", "upper/d/f"),
        (["bottom/l -> /d", "upper/d/f"], "/l/f", "upper/d/f"),
        (["bottom/l -> d", "upper/d/"], "/l/", "upper/d"),
        (["bottom/a/l -> ../../../f", "upper/f"], "/a/l/.", "upper/f"),
        (["bottom/d/f"], "/../../d/../d/./f", "bottom/d/f"),
        (["bottom/f"], f"/{'x' * 300}", None),
    ],
)
def test_lookup(top: str, made: list[str], path: str, expected: str | None) -> None:
    make(top, *made)
    assert (expected and f"{top}/{expected}") == union(top).lookup(path)


@pytest.mark.parametrize(
    ("made", "path", "real", "host"),
    [
        (["bottom/l -> /d/f", "bottom/d/f"], "/l", "/d/f", "bottom/d/f"),
        (["bottom/l -> /etc/nothing"], "/l", "/etc/nothing", None),
        (["bottom/l -> ../../.."], "/l", "/", "upper"),
        (["bottom/a -> b", "middle/b -> c", "upper/c"], "/a", "/c", "upper/c"),
    ],
)
def test_resolve_stays_inside(
    top: str, made: list[str], path: str, real: str, host: str | None
) -> None:
    make(top, *made)
    assert (real, host and f"{top}/{host}") == union(top).resolve(path)


def test_links_in_a_circle_are_an_error(top: str) -> None:
    make(top, "bottom/a -> b", "bottom/b -> a")
    with pytest.raises(LxcpyError, match="too many levels of symbolic links"):
        union(top).resolve("/a/f")


def test_forty_links_are_followed(top: str) -> None:
    make(top, *(f"bottom/l{index} -> l{index + 1}" for index in range(40)), "bottom/l40")
    assert union(top).resolve("/l0")[0] == "/l40"


def test_a_nul_byte_is_an_error(top: str) -> None:
    with pytest.raises(LxcpyError, match="NUL"):
        union(top).lookup("/a\0b")


def test_children_are_merged(top: str) -> None:
    make(top, "upper/d/a", "upper/d/.wh.gone", "middle/d/a", "middle/d/m", "bottom/d/gone")
    make(top, "bottom/d/b", "upper/d/.wh..wh.plnk/")
    expected = {"a": "upper/d/a", "m": "middle/d/m", "b": "bottom/d/b"}
    assert {name: f"{top}/{path}" for name, path in expected.items()} == union(top).children("/d")


@pytest.mark.parametrize("path", ["/f", "/missing"])
def test_what_is_no_directory_has_no_children(top: str, path: str) -> None:
    make(top, "bottom/f")
    assert union(top).children(path) == {}


def test_read(top: str) -> None:
    make(top, "bottom/etc/passwd", "upper/l -> /etc/passwd", "upper/d/")
    os.mkfifo(f"{top}/upper/fifo")
    assert union(top).read("/l") == b"bottom/etc/passwd"
    assert [union(top).read(path) for path in ("/d", "/fifo", "/missing")] == [None] * 3
    with pytest.raises(LxcpyError, match="/l is larger than 3 bytes"):
        union(top).read("/l", limit=3)


def test_a_plain_tree_may_hold_any_name(top: str) -> None:
    make(top, "upper/.wh.f", "upper/f")
    plain = Union(PlainFormat(), [f"{top}/upper"])
    assert {".wh.f", "f"} == set(plain.children("/"))
    assert plain.read("/.wh.f") == b"upper/.wh.f"


def make_directory(top: str, path: str) -> None:
    union(top).make_directory(path, uid=os.getuid(), gid=os.getgid())


def test_a_directory_is_made_with_its_parents(top: str) -> None:
    make(top, "bottom/srv/", "bottom/l -> /srv")
    os.chmod(f"{top}/bottom/srv", 0o750)
    make_directory(top, "/l/a/b")
    modes = [
        stat.S_IMODE(os.lstat(f"{top}/upper/{p}").st_mode) for p in ("srv", "srv/a", "srv/a/b")
    ]
    assert modes == [0o750, 0o755, 0o755]


def test_a_directory_that_is_there_is_not_copied_up(top: str) -> None:
    make(top, "bottom/srv/")
    make_directory(top, "/srv")
    make_directory(top, "/")
    assert os.listdir(f"{top}/upper") == []


def test_a_deleted_directory_comes_back_empty(top: str) -> None:
    make(top, "bottom/srv/old", "upper/.wh.srv")
    make_directory(top, "/srv/new")
    assert {"new"} == set(union(top).children("/srv"))
    assert not os.path.lexists(f"{top}/upper/.wh.srv")


@pytest.mark.parametrize("path", ["/f", "/f/d", "/l/d"])
def test_a_directory_below_a_file_is_an_error(top: str, path: str) -> None:
    make(top, "bottom/f", "bottom/l -> f")
    with pytest.raises(LxcpyError, match="f is no directory"):
        make_directory(top, path)
    assert os.listdir(f"{top}/upper") == []
