"""Tars made by the standard library, and unpacked by us."""

import io
import os
import tarfile
from collections.abc import Iterable

from lxcpy.images.archive import DEFAULT_LIMITS, Limits, Unpacked, unpack
from tests.unit.images.branch import PlainBranch

OWNER = {"uid": os.geteuid(), "gid": os.getegid()}

Entry = tuple[tarfile.TarInfo, bytes]


def entry(name: str, content: bytes = b"", **fields: object) -> Entry:
    """An entry owned by whoever runs the tests, so that it can be unpacked without root."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in {**OWNER, "mtime": 1_600_000_000, **fields}.items():
        setattr(info, key, value)
    return info, content


def directory(name: str, mode: int = 0o755) -> Entry:
    return entry(name, type=tarfile.DIRTYPE, mode=mode)


def symlink(name: str, target: str) -> Entry:
    return entry(name, type=tarfile.SYMTYPE, linkname=target)


def hard_link(name: str, target: str) -> Entry:
    return entry(name, type=tarfile.LNKTYPE, linkname=target)


def make(entries: Iterable[Entry], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def unpack_bytes(
    data: bytes, target: str, *, index: io.BytesIO | None = None, limits: Limits = DEFAULT_LIMITS
) -> Unpacked:
    return unpack(io.BytesIO(data), target, PlainBranch(), index=index, limits=limits)
