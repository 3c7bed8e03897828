import hashlib
import io
import os
import stat
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxcpy.errors import LxcpyError
from lxcpy.images.archive import Limits, unpack
from tests.unit.images.branch import PlainBranch
from tests.unit.images.tars import (
    Entry,
    directory,
    entry,
    hard_link,
    make,
    symlink,
    unpack_bytes,
)

FORMATS = [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    made = tmp_path / "outside" / "target"
    made.mkdir(parents=True)
    return made


def listing(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_the_empty_layer_has_the_well_known_id(target: Path) -> None:
    got = unpack_bytes(bytes(1024), str(target))
    assert got.diff_id == "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
    assert (got.entries, got.size, listing(target)) == (0, 0, [])


@pytest.mark.parametrize("form", FORMATS)
def test_keeps_content_mode_and_time(target: Path, form: int) -> None:
    data = make(
        [
            directory("d", 0o1700),
            entry("d/f", b"content", mode=0o4755, mtime=1_500_000_000),
            symlink("d/s", "/etc/passwd"),
            hard_link("d/h", "d/f"),
            entry("d/p", type=tarfile.FIFOTYPE, mode=0o622),
        ],
        form,
    )
    got = unpack_bytes(data, str(target))
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == got.diff_id
    assert (got.entries, got.size) == (5, 7)
    info = (target / "d/f").stat()
    assert (info.st_mode, info.st_mtime, info.st_nlink) == (0o104755, 1_500_000_000, 2)
    assert (target / "d/h").read_bytes() == b"content"
    assert os.readlink(target / "d/s") == "/etc/passwd"
    assert (target / "d/p").stat().st_mode == stat.S_IFIFO | 0o622
    assert (
        (target / "d").stat().st_mode,
        (target / "d").stat().st_mtime,
    ) == (0o41700, 1_600_000_000)


def test_keeps_nanoseconds(target: Path) -> None:
    unpack_bytes(make([entry("f", pax_headers={"mtime": "1.000000007"})]), str(target))
    assert (target / "f").stat().st_mtime_ns == 1_000_000_007


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("name", ["n" * 200, "é" * 60, "bad\udcff", "d/" * 100 + "f", "new\nline"])
def test_keeps_names(target: Path, form: int, name: str) -> None:
    unpack_bytes(make([entry(name, b"x"), symlink("s", name)], form), str(target))
    assert (target / name).read_bytes() == b"x"
    assert name == os.readlink(target / "s")


def test_makes_missing_parents_of_root(target: Path) -> None:
    unpack_bytes(make([entry("a/b/f")]), str(target))
    assert [(target / path).stat().st_mode for path in ("a", "a/b")] == [0o40755, 0o40755]


@pytest.mark.parametrize("name", [".", "./", "./."])
def test_root_entry_sets_the_root(target: Path, name: str) -> None:
    unpack_bytes(make([directory(name, 0o711), entry("./f")]), str(target))
    assert (target.stat().st_mode, target.stat().st_mtime) == (0o40711, 1_600_000_000)


def test_trailing_bytes_are_part_of_the_id(target: Path) -> None:
    data = make([entry("f")]) + b"whatever follows the end mark"
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == unpack_bytes(data, str(target)).diff_id


class OneByOne:
    """A pipe that gives little at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self.inner = io.BytesIO(data)
        self.step = step

    def read(self, size: int, /) -> bytes:
        return self.inner.read(min(size, self.step))


@pytest.mark.parametrize("step", [1, 511, 513])
def test_reads_what_a_pipe_gives(target: Path, step: int) -> None:
    data = make([entry("f", b"0123456789" * 200), entry("g", b"x" * 512)])
    got = unpack(OneByOne(data, step), str(target), PlainBranch())
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == got.diff_id
    assert (target / "f").read_bytes() == b"0123456789" * 200


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([entry("a", b"1"), entry("a", b"2")], {"a": "2"}),
        ([directory("a"), entry("a/x"), entry("a", b"f")], {"a": "f"}),
        ([entry("a"), directory("a"), entry("a/x", b"y")], {"a": None, "a/x": "y"}),
        ([directory("a"), entry("a/x", b"y"), directory("a")], {"a": None, "a/x": "y"}),
        ([directory("d"), symlink("a", "d"), entry("a", b"f")], {"a": "f", "d": None}),
        (
            [directory("d"), symlink("a", "d"), entry("a/x", b"1"), directory("a"), entry("a/x")],
            {"d": None, "d/x": "1", "a": None, "a/x": ""},
        ),
        ([entry("a", b"1"), hard_link("b", "a"), entry("a", b"2")], {"a": "2", "b": "1"}),
        ([entry("a", b"1"), hard_link("a", "a")], {"a": "1"}),
        ([entry("a", b"1"), entry("b", b"2"), hard_link("b", "a")], {"a": "1", "b": "1"}),
    ],
)
def test_the_last_entry_of_a_name_wins(
    target: Path, entries: list[Entry], expected: dict[str, str | None]
) -> None:
    unpack_bytes(make(entries), str(target))
    got = {name: target / name for name in listing(target)}
    texts = {name: None if path.is_dir() else path.read_text() for name, path in got.items()}
    assert expected == texts


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([entry(".wh.gone")], [".wh.gone"]),
        ([entry("d/.wh.gone"), entry("d/here")], ["d", "d/.wh.gone", "d/here"]),
        ([entry("d/.wh..wh..opq")], ["d", "d/.wh..wh..opq"]),
        ([directory("d"), entry(".wh.d")], ["d", "d/.wh..wh..opq"]),
        ([entry(".wh.d"), directory("d")], ["d", "d/.wh..wh..opq"]),
        ([entry("f"), entry(".wh.f")], ["f"]),
        ([entry(".wh.f"), entry("f")], ["f"]),
        ([entry("d/.wh.x"), entry("d")], ["d"]),
        ([entry(".wh.x"), entry(".wh.x")], [".wh.x"]),
        ([directory(".wh..wh.plnk"), entry(".wh..wh.plnk/1.2", b"x"), entry("f")], ["f"]),
        ([entry(".wh..wh.aufs", b"content"), entry("f")], ["f"]),
    ],
)
def test_translates_whiteouts(target: Path, entries: list[Entry], expected: list[str]) -> None:
    unpack_bytes(make(entries), str(target))
    assert expected == listing(target)


@pytest.mark.parametrize(
    ("entries", "culprit", "reason"),
    [
        ([entry("../evil")], "../evil", "leads out of the root"),
        ([entry("a/../../evil")], "a/../../evil", "leads out of the root"),
        ([entry("..")], "..", "leads out of the root"),
        ([entry("a/..")], "a/..", "ends in .."),
        ([entry("/evil")], "/evil", "absolute"),
        ([symlink("s", "/tmp"), entry("s/evil")], "s/evil", "through a symbolic link"),
        ([symlink("s", ".."), entry("s/evil")], "s/evil", "leads out of the root"),
        ([symlink("a/s", "../.."), entry("a/s/evil")], "a/s/evil", "leads out of the root"),
        ([symlink("s", "t"), symlink("t", "s"), entry("s/evil")], "s/evil", "levels of symbolic"),
        ([symlink("s", ".."), hard_link("h", "s/file")], "h", "leads out of the root"),
        ([hard_link("h", "../file")], "h", "leads out of the root"),
        ([hard_link("h", "/etc/passwd")], "h", "hard link to /etc/passwd"),
        ([hard_link("h", "nothing")], "h", "not there"),
        ([hard_link("h", "no/thing")], "h", "not there"),
        ([directory("d"), hard_link("h", "d")], "h", ""),
        ([entry("f"), entry("f/g")], "f/g", "not a directory"),
        ([entry(".wh.")], ".wh.", "names nothing"),
        ([entry(".wh...")], ".wh...", "names nothing"),
        ([entry(".wh.d/f")], ".wh.d/f", "is a whiteout"),
        ([entry("c", type=tarfile.CHRTYPE)], "c", "deletion mark"),
        ([symlink(".", "x")], ".", "root must be a directory"),
        ([entry("x" * 300)], "x" * 300, "name too long"),
        ([entry("steer\033[2J", type=b"Q")], "", r"steer\x1b[2J has the unknown type Q"),
        ([entry("f", pax_headers={"path": "a\0b"})], "", "zero byte"),
    ],
)
def test_refuses_what_is_hostile(
    target: Path, entries: list[Entry], culprit: str, reason: str
) -> None:
    data = make([entry("first"), *entries])
    (target.parent / "file").write_text("the host's")
    with pytest.raises(LxcpyError) as caught:
        unpack_bytes(data, str(target))
    assert culprit in caught.value.message
    assert reason.lower() in caught.value.message.lower()
    assert sorted(os.listdir(target.parent)) == ["file", "target"]
    assert (target.parent / "file").read_text() == "the host's"


def test_follows_links_that_stay_inside(target: Path) -> None:
    entries = [directory("usr/lib"), symlink("lib", "usr/./lib"), symlink("usr/up", "../lib")]
    data = make([*entries, entry("lib/a", b"1"), entry("usr/up/b", b"2"), hard_link("c", "lib/a")])
    unpack_bytes(data, str(target))
    assert [(target / p).read_text() for p in ("usr/lib/a", "usr/lib/b", "c")] == ["1", "2", "1"]


def test_replaces_a_link_and_not_what_it_points_to(target: Path) -> None:
    victim = target.parent / "victim"
    victim.write_text("untouched")
    unpack_bytes(make([symlink("s", "../victim"), entry("s", b"mine", mode=0o777)]), str(target))
    assert (victim.read_text(), (target / "s").read_text()) == ("untouched", "mine")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the input is empty"),
        (b"hello", "ends after 5 bytes"),
        (b"hello" * 500, "not a tar archive"),
        (make([entry("f", b"x" * 2000)])[:1000], "ends after 1000 bytes, in f"),
        (make([entry("f", b"x" * 2000)])[:2560], "ends after 2560 bytes"),
        (make([entry("f")])[:512] + b"x" * 512, "damaged at byte 512"),
    ],
)
def test_says_how_a_tar_is_damaged(target: Path, data: bytes, message: str) -> None:
    with pytest.raises(LxcpyError) as caught:
        unpack_bytes(data, str(target))
    assert message in caught.value.message


@given(st.data())
def test_any_damage_is_one_error_or_a_tar(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    good = make([directory("d"), entry("d/é" * 60, b"x" * 700), symlink("s", "d"), entry("s/f")])
    at = data.draw(st.integers(0, len(good) - 1))
    bad = good[:at] + data.draw(st.binary(max_size=20)) + good[at + data.draw(st.integers(0, 9)) :]
    place = tmp_path_factory.mktemp("t")
    (place / "target").mkdir()
    try:
        unpack_bytes(bad, str(place / "target"))
    except LxcpyError as error:
        assert "\n" not in error.message  # noqa: PT017 - both outcomes are right
    assert os.listdir(place) == ["target"]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_bytes=1000), "more than 1000 bytes"),
        (Limits(max_entries=1), "more than 1 entries"),
        (Limits(max_depth=2), "more than 2 directories deep"),
        (Limits(max_path=5), "longer than 5 bytes"),
    ],
)
def test_limits(target: Path, limits: Limits, message: str) -> None:
    with pytest.raises(LxcpyError, match=message):
        unpack_bytes(make([entry("f"), entry("a/b/c/d")]), str(target), limits=limits)


def test_a_hole_is_not_the_size_of_a_layer(target: Path) -> None:
    pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9000000000"}
    content = b"1\n8000000000\n3\n".ljust(512, b"\0") + b"abc"
    got = unpack_bytes(make([entry("f", content, pax_headers=pax)]), str(target))
    info = (target / "f").stat()
    assert (got.size, info.st_size) == (3, 9_000_000_000)
    assert info.st_blocks * 512 < 100_000
