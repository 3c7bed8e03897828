"""Names of images: `[HOST[:PORT]/]PATH[:TAG][@sha256:DIGEST]`.

The grammar is that of the library distribution/reference, version 0.6, which docker and podman use:
a first part with a dot, a colon or a capital letter, or `localhost`, is a host.
"""

import re
from dataclasses import dataclass

from lxcpy.errors import LxcpyError

DEFAULT_TAG = "latest"
MAX_NAME = 255
MAX_TAG = 128

HOST = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*"
    r"|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
)
PART = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
DIGEST = re.compile(r"sha256:[a-f0-9]{64}")
HEX_ID = re.compile(r"[a-f0-9]{64}")


@dataclass(frozen=True)
class Reference:
    """A name of an image, taken apart; parts that were not given are empty."""

    host: str
    path: str
    tag: str
    digest: str

    @property
    def name(self) -> str:
        """Host and path."""
        return f"{self.host}/{self.path}" if self.host else self.path

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def parse(text: str) -> Reference:
    """Take a reference apart; the tag is `latest` when there is neither tag nor digest.

    Raises LxcpyError that says which part is wrong and how it should be.
    """
    rest, at, digest = text.partition("@")
    if at and not DIGEST.fullmatch(digest):
        raise _error(text, f"the digest {digest!r} is not sha256: and 64 hex digits")
    name, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:  # the colon of a port
        name, colon, tag = rest, "", ""
    if colon and not TAG.fullmatch(tag):
        raise _error(
            text, f"the tag {tag!r} is not 1 to {MAX_TAG} of the characters A-Z a-z 0-9 _ . -"
        )
    host, path = _split(name)
    _check(text, host, path)
    return Reference(host, path, tag or ("" if digest else DEFAULT_TAG), digest)


def local_name(text: str) -> str:
    """The name under which an image is kept, REPOSITORY:TAG; as it was typed, with a tag.

    Raises LxcpyError for what is no reference, and for one with a digest.
    """
    reference = parse(text)
    if reference.digest:
        raise _error(text, "a digest cannot be given to an image")
    return str(reference)


def _split(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_host = "." in first or ":" in first or first == "localhost" or first != first.lower()
    return (first, rest) if slash and is_host else ("", name)


def _check(text: str, host: str, path: str) -> None:
    if not path:
        raise _error(text, "there is no name in it")
    if host and not HOST.fullmatch(host):
        raise _error(text, f"{host!r} is no host or host:port")
    for part in path.split("/"):
        if part != part.lower():
            raise _error(text, "the name must be lower case", hint=f"try {text.lower()}")
        if not PART.fullmatch(part):
            raise _error(text, f"{part!r} is not letters and digits with single . _ or - between")
    if len(host) + len(path) + bool(host) > MAX_NAME:
        raise _error(text, f"the name is longer than {MAX_NAME} characters")
    if not host and HEX_ID.fullmatch(path):
        raise _error(text, "64 hex digits are an id and no name")


def _error(text: str, reason: str, *, hint: str | None = None) -> LxcpyError:
    shown = repr(text) if text.isprintable() else ascii(text)
    return LxcpyError(f"invalid image name {shown}: {reason}", hint=hint)
