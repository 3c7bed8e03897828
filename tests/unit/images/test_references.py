import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lxcpy.errors import LxcpyError
from lxcpy.images.references import Reference, local_name, parse

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("busybox", Reference("", "busybox", "latest", "")),
        ("busybox:1.36", Reference("", "busybox", "1.36", "")),
        ("team/app", Reference("", "team/app", "latest", "")),
        ("localhost/app", Reference("localhost", "app", "latest", "")),
        ("host:5000/app", Reference("host:5000", "app", "latest", "")),
        ("host:5000/app:v1", Reference("host:5000", "app", "v1", "")),
        ("example.org/a/b:x", Reference("example.org", "a/b", "x", "")),
        ("Host/app", Reference("Host", "app", "latest", "")),
        ("[::1]:5000/app", Reference("[::1]:5000", "app", "latest", "")),
        (f"app@{DIGEST}", Reference("", "app", "", DIGEST)),
        (f"app:v1@{DIGEST}", Reference("", "app", "v1", DIGEST)),
        ("a__b/c-d--e.f_g", Reference("", "a__b/c-d--e.f_g", "latest", "")),
    ],
)
def test_takes_references_apart(text: str, expected: Reference) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "there is no name"),
        (":tag", "there is no name"),
        ("Busybox", "lower case"),
        ("a/B", "lower case"),
        ("a//b", "'' is not letters"),
        ("a/", "'' is not letters"),
        ("/a", "'' is not letters"),
        ("-a", "'-a' is not letters"),
        ("a___b", "is not letters"),
        ("a..b", "is not letters"),
        ("a b", "is not letters"),
        ("été", "is not letters"),
        ("a:", "the tag ''"),
        ("a:.x", "the tag '.x'"),
        ("a:" + "x" * 129, "the tag"),
        ("a\n", "is not letters"),
        ("a:b\n", "the tag"),
        ("a@sha256:12", "the digest"),
        ("a@", "the digest"),
        ("ho_st:5/a", "is no host"),
        ("-x.y/a", "is no host"),
        ("a/" * 200 + "b", "longer than 255"),
        ("f" * 64, "an id and no name"),
    ],
)
def test_says_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(LxcpyError) as caught:
        parse(text)
    assert reason in caught.value.message
    assert "\n" not in caught.value.message


def test_hint_for_capitals() -> None:
    with pytest.raises(LxcpyError) as caught:
        parse("BusyBox:X")
    assert caught.value.hint == "try busybox:x"


PART = st.from_regex(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+){0,2}", fullmatch=True)
TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,20}", fullmatch=True)
HOST = st.sampled_from(["", "localhost", "host.example:5000", "[fe80::1]:1", "Upper"])


@given(HOST, st.lists(PART, min_size=1, max_size=4), TAG, st.sampled_from(["", DIGEST]))
def test_text_comes_back(host: str, parts: list[str], tag: str, digest: str) -> None:
    assume(host or "." not in parts[0])  # a first part with a dot is a host
    path = "/".join(parts)
    if not host and len(parts) > 1 and ("." in parts[0] or parts[0] == "localhost"):
        host, path = parts[0], "/".join(parts[1:])  # its first part is a host
    reference = Reference(host, path, tag, digest)
    assert parse(str(reference)) == reference


@given(st.text(string.printable, max_size=40))
def test_any_text_is_a_reference_or_one_error(text: str) -> None:
    try:
        reference = parse(text)
    except LxcpyError:
        return
    assert parse(str(reference)) == reference


@pytest.mark.parametrize(
    ("text", "expected"), [("busybox", "busybox:latest"), ("host:5/a:x", "host:5/a:x")]
)
def test_local_names_are_kept_as_typed(text: str, expected: str) -> None:
    assert local_name(text) == expected


def test_a_digest_is_no_local_name() -> None:
    with pytest.raises(LxcpyError, match="a digest cannot be given"):
        local_name(f"a@{DIGEST}")
