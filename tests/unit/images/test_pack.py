import io
import os
import socket
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxcpy.images import pack as pack_module
from lxcpy.images.encode import encode
from lxcpy.images.header import FILE, Member, read_member
from lxcpy.images.pack import everything, pack
from lxcpy.model import Change, ChangeKind
from tests.unit.images.tars import unpack_bytes


def packed(root: Path, *changes: str) -> bytes:
    """The tar of changes written as docker's diff does: "A /path"."""
    out = io.BytesIO()
    pack(str(root), [Change(ChangeKind(text[0]), text[2:]) for text in changes], out)
    return out.getvalue()


def members(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getmembers()


def names(data: bytes) -> list[str]:
    return [member.name for member in members(data)]


def test_packs_additions_and_deletions(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").write_text("content")
    data = packed(tmp_path, "C /d", "A /d/f", "D /d/old", "D /top")
    assert names(data) == ["d", "d/f", "d/.wh.old", ".wh.top"]
    assert len(data) % 512 == 0


def test_parents_come_first_and_once(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a").chmod(0o700)
    (tmp_path / "a/b/f").touch()
    data = packed(tmp_path, "A /a/b/f", "D /a/b/g", "C /a")
    assert names(data) == ["a", "a/b", "a/b/f", "a/b/.wh.g"]
    assert members(data)[0].mode == 0o700


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("content")
    os.utime(tmp_path / "f", ns=(1, 1_600_000_000_000_000_001))
    assert packed(tmp_path, "A /f") == packed(tmp_path, "A /f")


def test_hard_links_name_the_first(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("content")
    (tmp_path / "a").hardlink_to(tmp_path / "b")
    got = [
        (member.name, member.type, member.linkname)
        for member in members(packed(tmp_path, "A /b", "A /a"))
    ]
    assert got == [("b", tarfile.REGTYPE, ""), ("a", tarfile.LNKTYPE, "b")]


def test_leaves_out_sockets_whiteout_names_and_the_vanished(tmp_path: Path) -> None:
    (tmp_path / ".wh.x").touch()
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
        assert names(packed(tmp_path, "A /s", "A /.wh.x", "A /gone", "A /gone/too")) == []


def test_never_leaves_the_root(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "secret").write_text("the host's")
    (tmp_path / "root/link").symlink_to("..")
    data = packed(tmp_path / "root", "A /link", "A /link/secret")
    assert names(data) == ["link"]


def test_round_trip(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "d/e").mkdir(parents=True)
    (root / "d/e/bad\udcffname").write_bytes(b"x" * 100_000)
    (root / ("é" * 100)).write_bytes(b"1")
    (root / "s").symlink_to("bad\udcff")
    os.mkfifo(root / "p", 0o640)
    (root / "d").chmod(0o2750)
    with (root / "holes").open("wb") as file:
        file.seek(3_000_000)
        file.write(b"middle")
        file.truncate(9_000_000)
    (root / "empty hole").touch()
    os.truncate(root / "empty hole", 4_000_000)
    for path in [*root.rglob("*"), root]:
        os.utime(path, ns=(5, 1_234_567_890_123_456_789), follow_symlinks=False)
    out = io.BytesIO()
    pack(str(root), everything(str(root)), out)
    assert len(out.getvalue()) < 1_000_000
    (tmp_path / "copy").mkdir()
    unpack_bytes(out.getvalue(), str(tmp_path / "copy"))
    assert facts(root) == facts(tmp_path / "copy")
    assert (root / "holes").read_bytes() == (tmp_path / "copy/holes").read_bytes()
    assert (tmp_path / "copy/holes").stat().st_blocks * 512 < 1_000_000


def facts(root: Path) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for path in sorted([root, *root.rglob("*")]):
        info = path.lstat()
        text = os.readlink(path) if path.is_symlink() else ""
        size = 0 if path.is_dir() else info.st_size
        name = str(path.relative_to(root))
        found.append((name, info.st_mode, info.st_mtime_ns, size, info.st_uid, text))
    return found


def test_sparse_files_are_read_by_others(tmp_path: Path) -> None:
    with (tmp_path / "holes").open("wb") as file:
        file.seek(1_000_000)
        file.write(b"data")
    data = packed(tmp_path, "A /holes")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        content = tar.extractfile("holes")
        assert content is not None
        assert bytes(1_000_000) + b"data" == content.read()


@pytest.mark.parametrize("size", [10, 3000, 0])
def test_a_file_that_changes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    (tmp_path / "f").write_bytes(b"x" * 1000)
    (tmp_path / "g").write_bytes(b"after")
    ask = pack_module._xattrs

    def changing(name: bytes, fd: int) -> dict[bytes, bytes]:
        if name == b"f":
            os.truncate(tmp_path / "f", size)
        return ask(name, fd)

    monkeypatch.setattr(pack_module, "_xattrs", changing)
    data = packed(tmp_path, "A /f", "A /g")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        contents = [file.read() for member in tar if (file := tar.extractfile(member))]
    assert [(b"x" * min(size, 1000)).ljust(1000, b"\0"), b"after"] == contents


def test_everything_is_sorted_with_parents_first(tmp_path: Path) -> None:
    for name in ("b/z", "b/a", "a", "c/d/e"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to("b")
    wanted = ["/", "/a", "/b", "/b/a", "/b/z", "/c", "/c/d", "/c/d/e", "/link"]
    assert wanted == [change.path for change in everything(str(tmp_path))]


@given(
    st.builds(
        Member,
        name=st.binary(min_size=1, max_size=300).filter(
            lambda name: b"\0" not in name and name[-1] != 47
        ),
        kind=st.just(FILE),
        mode=st.integers(0, 0o7777),
        uid=st.integers(0, 2**32 - 2),
        gid=st.integers(0, 2**32 - 2),
        mtime_ns=st.integers(-(2**62) + 1, 2**62 - 1),
        link=st.just(b""),
        device=st.just((0, 0)),
        size=st.just(0),
        data=st.just(0),
        regions=st.just(()),
        xattrs=st.dictionaries(
            st.binary(min_size=1, max_size=30).filter(lambda key: b"=" not in key),
            st.binary(max_size=100),
            max_size=2,
        ),
    )
)
def test_headers_come_back(member: Member) -> None:
    stream = io.BytesIO(encode(member, {}))
    assert member == read_member(stream.read, {})
    assert stream.read() == b""


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=200))
def test_names_are_read_by_others(name: str) -> None:
    member = Member(name.encode(), FILE, 0o644, 0, 0, 1_500_000_000, b"", (0, 0), 0, 0, (), {})
    with tarfile.open(fileobj=io.BytesIO(encode(member, {}) + bytes(1024))) as tar:
        assert [name.rstrip("/") or name] == [found.name.rstrip("/") or name for found in tar]
