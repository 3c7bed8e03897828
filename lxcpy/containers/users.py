"""Who the payload runs as: `name|uid[:group|gid]`, looked up in the container's own files."""

from dataclasses import dataclass

from lxcpy.errors import LxcpyError

LIMIT = 2**32 - 2  # the highest uid and gid; the next one means "no change" (setuid(2))


@dataclass(frozen=True)
class Identity:
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"


def identify(user: str, passwd: bytes, group: bytes) -> Identity:
    """The identity that `user` means, with the supplementary groups of its name.

    An unknown number is taken as it is, like docker does; an unknown name is an error. Lines of
    passwd(5) and group(5) that make no sense are passed over: they come from the image.
    """
    who, colon, which = (user or "0").partition(":")
    if colon and not which:
        raise LxcpyError(f"invalid user {user!r}: a group is missing after the colon")
    users, groups = _lines(passwd, 7), _lines(group, 4)
    entry = next((item for item in users if item[0] == who), None)
    if entry is None and who.isdecimal():
        entry = next((item for item in users if item[2] == who), None)
    uid = _number(entry[2] if entry else who, what=f"unable to find user {who}")
    name = entry[0] if entry else ""
    gid = _number(entry[3], what=f"user {who} has no group") if entry else 0
    if which:
        found = next((item for item in groups if item[0] == which), None)
        gid = _number(found[2] if found else which, what=f"unable to find group {which}")
        extra: tuple[int, ...] = ()
    else:
        extra = tuple(
            int(item[2])
            for item in groups
            if name and name in item[3].split(",") and _is_number(item[2])
        )
    home = entry[5] if entry and entry[5].startswith("/") else "/"
    return Identity(uid, gid, extra, home)


def _lines(text: bytes, fields: int) -> list[list[str]]:
    lines = (line.split(":") for line in text.decode(errors="surrogateescape").splitlines())
    return [line for line in lines if len(line) >= fields]


def _is_number(text: str) -> bool:
    # The length first: int() raises ValueError for thousands of digits.
    return text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= LIMIT


def _number(text: str, *, what: str) -> int:
    if not _is_number(text):
        raise LxcpyError(
            f"{what}: no matching entry in the container's passwd or group file",
            hint="a number works without an entry",
        )
    return int(text)
