import io
import struct
import tarfile

import pytest

from lxcpy import shell
from lxcpy.errors import LxcpyError
from lxcpy.images import bootstrap

PT_LOAD, PT_INTERP = 1, 3
APPLETS = b"usr/bin/[\nbin/sh\nbin/busybox\nlinuxrc\nsbin/../../x\nsbin/ip\n"


def elf(*segments: int, bits: int = 64, order: str = "<") -> bytes:
    """An ELF header and program headers, of which only the types are true (elf(5))."""
    start, word, size = (0x40, "Q", 56) if bits == 64 else (0x34, "I", 32)
    head = bytearray(start)
    head[:6] = b"\x7fELF" + bytes([2 if bits == 64 else 1, 1 if order == "<" else 2])
    struct.pack_into(f"{order}{word}", head, 0x20 if bits == 64 else 0x1C, start)
    struct.pack_into(f"{order}HH", head, 0x36 if bits == 64 else 0x2A, size, len(segments))
    table = b"".join(struct.pack(f"{order}I", kind).ljust(size, b"\0") for kind in segments)
    return bytes(head) + table


@pytest.fixture
def program(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> bytes:
    data = elf(PT_LOAD)
    path = tmp_path_factory.mktemp("bin") / "busybox"
    path.write_bytes(data)
    monkeypatch.setattr(shell, "find", lambda name: str(path))
    monkeypatch.setattr(shell, "run", lambda argv: shell.Result(APPLETS, "", 0))
    return data


def test_makes_the_same_tree_each_time(program: bytes) -> None:
    first, second = io.BytesIO(), io.BytesIO()
    bootstrap.busybox_tree(first)
    bootstrap.busybox_tree(second)
    assert first.getvalue() == second.getvalue()


def test_makes_a_usable_tree(program: bytes) -> None:
    out = io.BytesIO()
    bootstrap.busybox_tree(out)
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        busybox = tar.extractfile("bin/busybox")
        assert busybox is not None
        assert program == busybox.read()
        members = {member.name: member for member in tar.getmembers()}
    links = {name: member.linkname for name, member in members.items() if member.issym()}
    assert links == {
        "bin/sh": "/bin/busybox",
        "sbin/ip": "/bin/busybox",
        "usr/bin/[": "/bin/busybox",
        "var/run": "../run",
        "etc/mtab": "../proc/self/mounts",
    }
    modes = {name: members[name].mode for name in ("root", "tmp", "var/tmp", "bin/busybox")}
    assert modes == {"root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777, "bin/busybox": 0o755}
    assert {(0, 0, 0)} == {(each.uid, each.gid, each.mtime) for each in members.values()}


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_knows_a_program_that_needs_libraries(bits: int, order: str) -> None:
    bootstrap._require_static("busybox", elf(PT_LOAD, PT_LOAD, bits=bits, order=order))
    with pytest.raises(LxcpyError, match="busybox is linked to the host's libraries") as caught:
        bootstrap._require_static("busybox", elf(PT_LOAD, PT_INTERP, bits=bits, order=order))
    assert caught.value.hint == "apt-get install busybox-static"


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF\x09\x01", elf(1)[:66]])
def test_takes_only_elf(data: bytes) -> None:
    with pytest.raises(LxcpyError, match="busybox is no ELF program"):
        bootstrap._require_static("busybox", data)
