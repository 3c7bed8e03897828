import io
import struct
import tarfile
from pathlib import Path

import pytest

from lxcpy import shell
from lxcpy.errors import LxcpyError
from lxcpy.images import bootstrap
from lxcpy.images.bootstrap import FILES, is_static


def elf(kinds: list[int], *, bits: int = 64, order: str = "<") -> bytes:
    """The parts of an ELF file that say what it needs (elf(5))."""
    head = bytearray(64)
    head[:6] = b"\x7fELF" + bytes([bits // 32, 1 if order == "<" else 2])
    if bits == 64:
        struct.pack_into(order + "Q", head, 32, 64)
        struct.pack_into(order + "HH", head, 54, 56, len(kinds))
    else:
        struct.pack_into(order + "I", head, 28, 64)
        struct.pack_into(order + "HH", head, 42, 56, len(kinds))
    return bytes(head) + b"".join(struct.pack(order + "I", kind).ljust(56, b"\0") for kind in kinds)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize(("kinds", "expected"), [([1, 2], False), ([1, 4], True), ([], True)])
def test_a_static_program_asks_for_no_loader(
    bits: int, order: str, kinds: list[int], expected: bool
) -> None:
    with_loader = [3 if kind == 2 else kind for kind in kinds]
    assert is_static(elf(with_loader, bits=bits, order=order)) is expected


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"\x7fEL"])
def test_a_script_is_no_program(data: bytes) -> None:
    with pytest.raises(ValueError, match="no ELF file"):
        is_static(data)


def test_every_user_has_seven_fields_and_a_known_group() -> None:
    groups = {line.split(":")[2] for line in FILES["etc/group"].splitlines()}
    for line in FILES["etc/passwd"].splitlines():
        fields = line.split(":")
        assert (len(fields), fields[3] in groups) == (7, True)


def tree(program: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setattr(shell, "find", lambda name: str(program))
    listed = ["usr/bin/[", "bin/sh", "bin/busybox", "linuxrc", "sbin/../../x", "sbin/ip"]
    monkeypatch.setattr(bootstrap, "_list", lambda program: listed)
    out = io.BytesIO()
    bootstrap.busybox_tree(out)
    return out.getvalue()


def test_makes_a_usable_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "busybox"
    program.write_bytes(elf([1]))
    data = tree(program, monkeypatch)
    assert data == tree(program, monkeypatch)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        busybox = tar.extractfile("bin/busybox")
        assert busybox is not None
        assert busybox.read() == elf([1])
        members = {member.name: member for member in tar}
    links = {name: member.linkname for name, member in members.items() if member.issym()}
    assert links == {
        "bin/sh": "busybox",
        "linuxrc": "bin/busybox",
        "sbin/ip": "../bin/busybox",
        "usr/bin/[": "../../bin/busybox",
        "var/run": "../run",
        "var/lock": "../run",
    }
    modes = {name: members[name].mode for name in ("root", "tmp", "var/tmp", "bin/busybox")}
    assert modes == {"root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777, "bin/busybox": 0o755}
    assert {(member.uid, member.gid) for member in members.values()} == {(0, 0)}
    assert "resolv.conf" not in members


@pytest.mark.parametrize(
    "data", [b"", b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF\x09\x01", elf([1])[:66]]
)
def test_takes_only_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    program = tmp_path / "busybox"
    program.write_bytes(data)
    with pytest.raises(LxcpyError, match="busybox is no program"):
        tree(program, monkeypatch)


def test_takes_only_a_static_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "busybox"
    program.write_bytes(elf([3]))
    with pytest.raises(LxcpyError, match="needs shared libraries") as caught:
        tree(program, monkeypatch)
    assert caught.value.hint == "apt-get install busybox-static"
