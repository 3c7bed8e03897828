import struct

import pytest

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
