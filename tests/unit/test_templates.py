import os
import sys
from pathlib import Path

import pytest

from lxcpy import paths, templates
from lxcpy.errors import LxcpyError
from tests.unit.lxc import cases


@pytest.fixture
def admin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of an admin's own templates."""
    directory = tmp_path / "templates"
    directory.mkdir()
    monkeypatch.setattr(paths, "ADMIN_TEMPLATES", str(directory))
    return directory


@pytest.fixture
def cache(tmp_path: Path) -> str:
    directory = tmp_path / "cache"
    directory.mkdir()
    return str(directory)


@pytest.fixture(params=[True, False], ids=["compiled", "jinja2"])
def cache_dir(request: pytest.FixtureRequest, cache: str) -> str | None:
    return cache if request.param else None


@pytest.mark.parametrize("name", sorted(os.listdir(cases.GOLDEN)))
def test_golden_file(name: str, cache_dir: str | None) -> None:
    with open(f"{cases.GOLDEN}/{name}", encoding="utf-8", newline="") as file:
        assert file.read() == cases.rendered(cache_dir=cache_dir)[name]


def test_every_text_has_its_golden_file() -> None:
    assert sorted(os.listdir(cases.GOLDEN)) == sorted(cases.rendered())


def test_second_time_needs_no_jinja(cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cases.rendered(cache_dir=cache)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert first == cases.rendered(cache_dir=cache)


@pytest.mark.parametrize("damage", [b"", b"\0" * 4096, b"(\x01\0\0\0i", b"junk"])
def test_damaged_cache_is_made_anew(cache: str, damage: bytes) -> None:
    text = cases.firewall(cache_dir=cache)
    path = Path(cache, "nftables.j2.code")
    good = path.read_bytes()
    path.write_bytes(damage)
    assert text == cases.firewall(cache_dir=cache)
    assert len(good) == len(path.read_bytes())


def test_changed_template_is_compiled_again(admin: Path, cache: str) -> None:
    own = admin / "own.j2"
    own.write_text("{{ a }} one\n")
    assert templates.render("own.j2", {"a": 1}, cache_dir=cache) == "1 one\n"
    own.write_text("{{ a }} two\n")
    assert templates.render("own.j2", {"a": 1}, cache_dir=cache) == "1 two\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ a|join(',') }}", "1,2"),
        ("{% for x in a %}{{ loop.index }}{% endfor %}", "12"),
        ("{% if b is defined %}yes{% else %}no{% endif %}", "no"),
        ("{% set x = 3 %}{{ x }}", "3"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m('y') }}", "<y>"),
        ("{{ a[0] }}{{ a|length }}", "12"),
    ],
)
def test_admin_may_use_all_of_jinja(admin: Path, cache: str, source: str, expected: str) -> None:
    (admin / "own.j2").write_text(source)
    for _ in range(2):
        assert expected == templates.render("own.j2", {"a": ["1", "2"]}, cache_dir=cache)


@pytest.mark.parametrize("source", ["{{ b }}", "{% if b %}{% endif %}", "{{ a.b }}"])
def test_undefined_variable_is_named(admin: Path, cache_dir: str | None, source: str) -> None:
    (admin / "own.j2").write_text(source)
    with pytest.raises(LxcpyError, match=r"own\.j2.*'b'") as caught:
        templates.render("own.j2", {"a": "x"}, cache_dir=cache_dir)
    assert "\n" not in caught.value.message


def test_syntax_error_has_its_line(admin: Path, cache_dir: str | None) -> None:
    (admin / "own.j2").write_text("one\n{% if %}\n")
    with pytest.raises(LxcpyError, match=r"own\.j2, line 2: "):
        templates.render("own.j2", {}, cache_dir=cache_dir)


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", None, True, ["x"], b"x"])
def test_value_that_breaks_a_line_is_refused(
    admin: Path, cache_dir: str | None, value: object
) -> None:
    (admin / "own.j2").write_text('first = {{ a }}\nsecond = "{{ b }}"\n')
    with pytest.raises(LxcpyError, match=r"own\.j2: second cannot be"):
        templates.render("own.j2", {"a": 1, "b": value}, cache_dir=cache_dir)


def test_template_that_is_missing() -> None:
    with pytest.raises(LxcpyError, match=r"template none\.j2 is missing"):
        templates.render("none.j2", {}, cache_dir=None)
