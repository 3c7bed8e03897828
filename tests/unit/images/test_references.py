import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxcpy.errors import LxcpyError
from lxcpy.images import references
from lxcpy.images.references import Reference

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", Reference("", "a", "latest", "")),
        ("a:1", Reference("", "a", "1", "")),
        ("a/b", Reference("", "a/b", "latest", "")),
        ("h.x/a:1", Reference("h.x", "a", "1", "")),
        ("h:5000/a", Reference("h:5000", "a", "latest", "")),
        ("localhost/a", Reference("localhost", "a", "latest", "")),
        ("Host/a", Reference("Host", "a", "latest", "")),
        ("[::1]:5000/a", Reference("[::1]:5000", "a", "latest", "")),
        (f"a@{DIGEST}", Reference("", "a", "", DIGEST)),
        (f"a:1@{DIGEST}", Reference("", "a", "1", DIGEST)),
        ("a__b.c--d", Reference("", "a__b.c--d", "latest", "")),
    ],
)
def test_takes_apart(text: str, expected: Reference) -> None:
    assert expected == references.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no name in it"),
        ("Busybox", "must be lower case"),
        ("a:", "the tag '' is not"),
        ("a:.b", "the tag '.b' is not"),
        (f"a:{'t' * 129}", "is not 1 to 128"),
        ("a@sha256:1", "the digest 'sha256:1' is not"),
        ("a//b", "'' is not letters"),
        ("../a", "is no host or host:port"),
        ("a_.b", "'a_.b' is not letters"),
        ("a\n", r"^invalid image name 'a\\n'"),
        ("h.x:y/a", "'h.x:y' is no host"),
        ("a" * 256, "longer than 255"),
        ("a" * 64, "an id and no name"),
    ],
)
def test_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(LxcpyError, match=message):
        references.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "docker.io/library/a:latest"),
        ("a/b", "docker.io/a/b:latest"),
        ("index.docker.io/a", "docker.io/library/a:latest"),
        ("h.x/a", "h.x/a:latest"),
    ],
)
def test_normalises(text: str, expected: str) -> None:
    assert expected == str(references.normalised(references.parse(text)))


def test_keeps_no_digest() -> None:
    with pytest.raises(LxcpyError, match="a digest cannot be given"):
        references.local_name(f"a@{DIGEST}")


@given(st.text("abA0.:/-_@\n[]", max_size=20))
def test_a_local_name_is_what_was_typed_with_a_tag(text: str) -> None:
    name, reason = "", ""
    try:
        name = references.local_name(text)
    except LxcpyError as error:
        reason = error.message
    if reason:
        assert "\n" not in reason
        return
    assert name in (text, f"{text}:latest")  # ImageStore.resolve relies on it
    assert name == references.local_name(name)
