"""Tar headers to bytes: ustar, and before it a pax header for what ustar cannot hold."""

import struct

from lxcpy.images.header import BLOCK, BLOCK_DEVICE, CHARACTER, SECOND, XATTR, Member, Pax

USTAR = struct.Struct("100s8s8s8s12s12s8s1s100s8s32s32s8s8s167x")
NAMES = (b"path", b"linkpath", b"GNU.sparse.name")  # the records that hdrcharset is about
NAME_SIZE = 100
MAX_OWNER = 0o7777777
MAX_SIZE = 0o77777777777


def encode(member: Member, records: Pax) -> bytes:
    """The header blocks of an entry; `records` are pax records of its own, such as a sparse map's.

    Times have nanoseconds, and are in the pax header only if they have a fraction.
    """
    pax = dict(records)
    name, link = member.name, member.link
    if (len(name) > NAME_SIZE or not name.isascii()) and b"GNU.sparse.name" not in pax:
        pax[b"path"] = name
    if len(link) > NAME_SIZE or not link.isascii():
        pax[b"linkpath"] = link
    seconds, part = divmod(member.mtime_ns, SECOND)
    if part or not 0 <= seconds <= MAX_SIZE:
        pax[b"mtime"] = _time(member.mtime_ns)
    numbers = (
        _fit(pax, b"uid", member.uid, MAX_OWNER),
        _fit(pax, b"gid", member.gid, MAX_OWNER),
        _fit(pax, b"size", member.data, MAX_SIZE),
        min(max(seconds, 0), MAX_SIZE),
    )
    for key, value in member.xattrs.items():
        pax[XATTR + key] = value
    block = _ustar(member, numbers)
    return _pax_header(pax) + block if pax else block


def _ustar(member: Member, numbers: tuple[int, int, int, int]) -> bytes:
    uid, gid, size, mtime = numbers
    major = minor = b""
    if member.kind in (CHARACTER, BLOCK_DEVICE):
        major, minor = (b"%07o" % number for number in member.device)
    block = USTAR.pack(
        member.name, b"%07o" % member.mode, b"%07o" % uid, b"%07o" % gid, b"%011o" % size,
        b"%011o" % mtime, b"        ", member.kind, member.link, b"ustar\00000", b"", b"",
        major, minor,
    )  # fmt: skip
    return b"%b%06o\0%b" % (block[:148], sum(block), block[155:])


def _fit(pax: Pax, key: bytes, value: int, most: int) -> int:
    if value <= most:
        return value
    pax[key] = b"%d" % value
    return 0


def _time(nanoseconds: int) -> bytes:
    seconds, part = divmod(abs(nanoseconds), SECOND)
    text = b"%d.%09d" % (seconds, part) if part else b"%d" % seconds
    return b"-" + text if nanoseconds < 0 else text


def _pax_header(records: Pax) -> bytes:
    """A name that is not UTF-8 needs the record hdrcharset=BINARY before it (POSIX.1-2008)."""
    lines = [_record(key, value) for key, value in records.items()]
    if not _is_utf8(b"".join([records.get(key, b"") for key in NAMES])):
        lines.insert(0, _record(b"hdrcharset", b"BINARY"))
    data = b"".join(lines)
    member = Member(b"././@PaxHeader", b"x", 0o644, 0, 0, 0, b"", (0, 0), 0, 0, (), {})
    return _ustar(member, (0, 0, len(data), 0)) + data + bytes(-len(data) % BLOCK)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where the length counts its own digits."""
    rest = b" %b=%b\n" % (key, value)
    size = len(rest) + len(str(len(rest)))
    size = len(rest) + len(str(size))
    return b"%d%b" % (size, rest)
