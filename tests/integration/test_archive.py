"""Archives against GNU tar and the compressors, and with what only root may make."""

import hashlib
import io
import os
import stat
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest

from lxcpy.errors import LxcpyError
from lxcpy.images import bootstrap, split
from lxcpy.images.archive import Unpacked, unpack
from lxcpy.images.compression import decompressed
from lxcpy.images.pack import everything, pack
from lxcpy.model import Change, ChangeKind
from lxcpy.storage import load
from tests.unit.images.tars import directory, entry, make

pytestmark = pytest.mark.requires_root

# cap_net_raw=ep in the format of linux/capability.h, version 2
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
# user::rw-, user:1000:rw-, group::r--, mask::rw-, other::r-- (linux/posix_acl_xattr.h)
ACL = bytes.fromhex(
    "02000000" "01000600ffffffff" "02000600e8030000" "04000400ffffffff" "10000600ffffffff"
    "20000400ffffffff"
)  # fmt: skip


def run(*argv: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(argv, input=stdin, capture_output=True, check=True).stdout


def overlay_unpack(data: bytes, target: Path, index: io.BytesIO | None = None) -> Unpacked:
    target.mkdir()
    return unpack(io.BytesIO(data), str(target), load("overlay"), index=index)


def pack_all(root: Path) -> bytes:
    out = io.BytesIO()
    pack(str(root), everything(str(root)), out)
    return out.getvalue()


def facts(root: Path) -> list[tuple[object, ...]]:
    """Everything that a tar keeps of a tree."""
    found: list[tuple[object, ...]] = []
    inodes: dict[int, str] = {}
    for path in sorted([root, *root.rglob("*")], key=os.fsencode):
        info = path.lstat()
        name = str(path.relative_to(root))
        content = path.read_bytes() if stat.S_ISREG(info.st_mode) else b""
        target = os.readlink(path) if path.is_symlink() else ""
        xattrs = {key: os.getxattr(path, key, follow_symlinks=False)
                  for key in os.listxattr(path, follow_symlinks=False)}  # fmt: skip
        first = inodes.setdefault(info.st_ino, name)
        owner = (info.st_uid, info.st_gid)
        device = info.st_rdev if stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode) else 0
        found.append(
            (name, info.st_mode, owner, info.st_mtime_ns, content, target, xattrs, first, device)
        )
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """One of everything."""
    root = tmp_path / "tree"
    (root / "d/e").mkdir(parents=True)
    (root / "d/file").write_bytes(b"content" * 1000)
    (root / "d/link").hardlink_to(root / "d/file")
    (root / "soft").symlink_to("/absolute/nowhere")
    (root / "bad\udcff").write_bytes(b"x")
    (root / ("long" * 60)).write_bytes(b"y")
    (root / "d/e" / ("é" * 100)).symlink_to("é" * 100)
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "disk", stat.S_IFBLK | 0o660, os.makedev(300, 70000))
    os.mkfifo(root / "pipe", 0o620)
    with (root / "holes").open("wb") as file:
        for offset in range(0, 20_000_000, 1_000_000):
            file.seek(offset)
            file.write(b"data")
        file.truncate(30_000_000)
    (root / "program").write_bytes(b"#!")
    os.chown(root / "program", 12345, 4_000_000_000)
    (root / "program").chmod(0o6755)
    os.setxattr(root / "program", "security.capability", CAPABILITY)
    os.setxattr(root / "d", "trusted.of mine", b"\0\n=binary\xff")
    (root / "d/acl").write_text("acl")
    os.setxattr(root / "d/acl", "system.posix_acl_access", ACL)
    os.chown(root / "soft", 7, 8, follow_symlinks=False)
    (root / "d").chmod(0o3777)
    for path in [*root.rglob("*"), root]:
        os.utime(path, ns=(9, 1_600_000_000_123_456_789), follow_symlinks=False)
    return root


def test_round_trip_keeps_everything(tree: Path, tmp_path: Path) -> None:
    data = pack_all(tree)
    assert len(data) < 300_000
    overlay_unpack(data, tmp_path / "copy")
    assert facts(tmp_path / "copy") == facts(tree)
    assert (tmp_path / "copy/holes").stat().st_blocks == (tree / "holes").stat().st_blocks


def test_gnu_tar_reads_ours(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    options = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf", "-"]
    run("tar", "-C", str(tmp_path / "copy"), *options, stdin=pack_all(tree))
    assert facts(tmp_path / "copy") == facts(tree)


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0"])
def test_we_read_gnu_tars_pax(tree: Path, tmp_path: Path, version: str) -> None:
    options = ["--format=pax", "--xattrs", "--xattrs-include=*", f"--sparse-version={version}"]
    data = run("tar", "-C", str(tree), *options, "-S", "--numeric-owner", "-cf", "-", ".")
    index = io.BytesIO()
    got = overlay_unpack(data, tmp_path / "copy", index)
    assert facts(tmp_path / "copy") == facts(tree)
    assert got.diff_id == rebuilt_id(index, tmp_path / "copy")


def test_we_read_gnu_tars_own_format(tree: Path, tmp_path: Path) -> None:
    data = run("tar", "-C", str(tree), "--format=gnu", "-S", "--numeric-owner", "-cf", "-", ".")
    index = io.BytesIO()
    got = overlay_unpack(data, tmp_path / "copy", index)

    def coarse(root: Path) -> list[object]:  # it has neither attributes nor parts of a second
        return [(*fact[:3], *fact[4:6], *fact[7:]) for fact in facts(root)]

    assert coarse(tmp_path / "copy") == coarse(tree)
    assert got.diff_id == rebuilt_id(index, tmp_path / "copy")


def rebuilt_id(index: io.BytesIO, fs: Path) -> str:
    out = io.BytesIO()
    split.rebuild(index, str(fs), out)
    return f"sha256:{hashlib.sha256(out.getvalue()).hexdigest()}"


def test_old_gnu_sparse_map_of_many_pieces(tmp_path: Path) -> None:
    with (tmp_path / "many").open("wb") as file:
        for number in range(100):
            file.seek(number * 100_000)
            file.write(b"%d" % number)
    data = run("tar", "-C", str(tmp_path), "--format=gnu", "-S", "-cf", "-", "many")
    overlay_unpack(data, tmp_path / "copy")
    assert (tmp_path / "copy/many").read_bytes() == (tmp_path / "many").read_bytes()


def test_whiteouts_become_overlayfs_own_and_back(tmp_path: Path) -> None:
    data = make([directory("d"), entry("d/.wh.gone"), entry(".wh.top"), entry("o/.wh..wh..opq")])
    index = io.BytesIO()
    got = overlay_unpack(data, tmp_path / "fs", index)
    for name in ("d/gone", "top"):
        info = (tmp_path / "fs" / name).lstat()
        assert (stat.S_ISCHR(info.st_mode), info.st_rdev) == (True, 0)
    assert load("overlay").is_opaque(str(tmp_path / "fs/o"))
    assert got.diff_id == rebuilt_id(index, tmp_path / "fs")


def test_a_tar_cannot_forge_overlayfs_marks(tmp_path: Path) -> None:
    marks = {
        f"SCHILY.xattr.{space}.overlay.{name}": "y"
        for space in ("trusted", "user")
        for name in ("opaque", "redirect", "metacopy", "whiteout")
    }
    data = make(
        [entry("f", pax_headers=marks), entry("g", pax_headers={"SCHILY.xattr.user.a": "b"})]
    )
    overlay_unpack(data, tmp_path / "fs")
    assert os.listxattr(tmp_path / "fs/f") == []
    assert os.getxattr(tmp_path / "fs/g", "user.a") == b"b"
    with pytest.raises(LxcpyError, match="cannot unpack c: .* deletion mark"):
        overlay_unpack(make([entry("c", type=tarfile.CHRTYPE)]), tmp_path / "other")


def test_a_device_swapped_in_is_never_opened(tmp_path: Path) -> None:
    os.mknod(tmp_path / "tty", stat.S_IFCHR | 0o600, os.makedev(5, 0))  # open fails: no terminal
    out = io.BytesIO()
    pack(str(tmp_path), [Change(ChangeKind.ADDED, "/tty")], out)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        assert [(member.name, member.devmajor) for member in tar] == [("tty", 5)]


COMPRESSORS = ["gzip", "xz", "zstd", "bzip2"]


def read_all(fd: int) -> bytes:
    with decompressed(fd) as stream:
        return b"".join(iter(lambda: stream.read(1 << 20), b""))


def read_piped(data: bytes) -> bytes:
    out, into = os.pipe()

    def feed() -> None:
        with open(into, "wb") as file:
            file.write(data)

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        return read_all(out)
    finally:
        os.close(out)
        feeder.join()


@pytest.mark.parametrize("program", COMPRESSORS)
def test_decompresses_files_and_pipes(tmp_path: Path, program: str) -> None:
    data = os.urandom(300_000) + bytes(3_000_000)
    packed = run(program, "-c", stdin=data)
    (tmp_path / "f").write_bytes(packed)
    with (tmp_path / "f").open("rb") as file:
        assert read_all(file.fileno()) == data
    assert read_piped(packed) == data


@pytest.mark.parametrize("program", COMPRESSORS)
@pytest.mark.parametrize("kept", [10, 200_000])
def test_says_that_compressed_data_is_damaged(program: str, kept: int) -> None:
    packed = run(program, "-c", stdin=os.urandom(300_000))[:kept]
    with pytest.raises(LxcpyError, match=f"the {program} data is damaged: {program} exited"):
        read_piped(packed)


def test_a_reader_that_gives_up_waits_for_nobody() -> None:
    """The writer still holds the pipe open, as a slow download does."""
    out, into = os.pipe()
    os.write(into, run("gzip", "-c", stdin=os.urandom(1000))[:500])
    try:
        with pytest.raises(KeyError), decompressed(out) as stream:
            raise KeyError(stream)
    finally:
        os.close(out)
        os.close(into)


def test_the_hosts_busybox_makes_a_root(tmp_path: Path) -> None:
    first, second = io.BytesIO(), io.BytesIO()
    bootstrap.busybox_tree(first)
    bootstrap.busybox_tree(second)
    assert first.getvalue() == second.getvalue()
    overlay_unpack(first.getvalue(), tmp_path / "root")
    script = "id -un; ls -ld /tmp | cut -c1-10; awk 'BEGIN { print 6 * 7 }'"
    said = run("chroot", str(tmp_path / "root"), "sh", "-c", script)
    assert said == b"root\ndrwxrwxrwt\n42\n"
