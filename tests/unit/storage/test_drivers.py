"""Which driver is chosen, and that it costs nothing to load one."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lxcpy.errors import LxcpyError
from lxcpy.storage import DRIVERS, choose, load
from lxcpy.storage.aufs import Aufs
from lxcpy.storage.copy import Copy
from lxcpy.storage.overlay import Overlay

Refuse = Callable[[dict[str, str]], None]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Let the probes of the named drivers fail with a reason, and the others succeed."""

    def patch(reasons: dict[str, str]) -> None:
        for driver in (Aufs, Overlay, Copy):
            reason = reasons.get(driver.name)
            monkeypatch.setattr(driver, "probe", lambda self, scratch, reason=reason: reason)

    return patch


@pytest.mark.parametrize(
    ("unable", "chosen"),
    [((), "aufs"), (("aufs",), "overlay"), (("aufs", "overlay"), "copy")],
)
def test_the_first_that_works_is_chosen(
    refuse: Refuse, unable: tuple[str, ...], chosen: str
) -> None:
    refuse(dict.fromkeys(unable, "no"))
    assert chosen == choose(None, "/scratch").name


def test_a_forced_driver_is_tried_alone(refuse: Refuse) -> None:
    refuse({"overlay": "it needs root"})
    assert choose("copy", "/scratch").name == "copy"
    with pytest.raises(LxcpyError) as caught:
        choose("overlay", "/scratch")
    assert caught.value.message == "storage driver overlay does not work here: it needs root"
    assert caught.value.hint is not None


def test_without_any_driver_every_reason_is_told(refuse: Refuse) -> None:
    refuse({"aufs": "one", "overlay": "two", "copy": "three"})
    with pytest.raises(LxcpyError) as caught:
        choose(None, "/scratch")
    assert caught.value.message == "no storage driver works on /scratch: copy: three"
    assert caught.value.details == "aufs: one\noverlay: two\ncopy: three"


@pytest.mark.parametrize("name", DRIVERS)
def test_every_driver_loads(name: str) -> None:
    assert name == load(name).name


def test_an_unknown_driver_is_an_error_that_lists_them() -> None:
    with pytest.raises(LxcpyError) as caught:
        load("zfs")
    assert caught.value.hint == "the drivers are: aufs, overlay, copy"


def test_a_probe_in_a_missing_directory_has_a_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert Overlay().probe(f"{tmp_path}/file") == f"{tmp_path}/file/probe: Not a directory"


@pytest.mark.allow_programs
@pytest.mark.parametrize("name", DRIVERS)
def test_loading_a_driver_imports_that_one_only(name: str) -> None:
    code = (
        f"import sys; from lxcpy.storage import load; load({name!r});"
        "print(sorted(m for m in sys.modules if m.startswith('lxcpy')))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    expected = {"lxcpy", "lxcpy.errors", "lxcpy.model", "lxcpy.storage", "lxcpy.storage.options"}
    expected.add(f"lxcpy.storage.{name}")
    if name != "overlay":
        expected.add("lxcpy.storage.whiteouts")
    assert said.stdout.strip() == str(sorted(expected))
