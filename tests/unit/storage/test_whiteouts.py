"""AUFS's marks."""

import os
from pathlib import Path

import pytest

from lxcpy.errors import LxcpyError
from lxcpy.storage.whiteouts import AufsFormat


@pytest.mark.parametrize(
    ("name", "hidden", "internal"),
    [
        ("f", None, False),
        (".wh.f", "f", False),
        (".wh.hosts", "hosts", False),
        (".wh..profile", ".profile", False),
        (".wh..wh..opq", None, True),
        (".wh..wh.aufs", None, True),
        (".wh.", None, True),
        (".wh..", None, True),
        (".wh...", None, True),
        (".whf", None, False),
    ],
)
def test_names(name: str, hidden: str | None, internal: bool) -> None:
    assert hidden == AufsFormat().whiteout_of(f"/layer/{name}")
    assert internal == AufsFormat().is_internal(name)


def test_a_whiteout_hides_a_name(tmp_path: Path) -> None:
    AufsFormat().make_whiteout(str(tmp_path), "f")
    assert AufsFormat().find_whiteout(str(tmp_path), "f")
    assert os.listdir(tmp_path) == [".wh.f"]


def test_an_entry_of_the_same_layer_stays_visible(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    (tmp_path / "d").mkdir()
    for name in ("f", "d"):
        AufsFormat().make_whiteout(str(tmp_path), name)
    assert sorted(os.listdir(tmp_path)) == ["d", "f"]
    assert AufsFormat().is_opaque(f"{tmp_path}/d")


def test_a_name_too_long_for_the_prefix_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LxcpyError, match="File name too long"):
        AufsFormat().make_whiteout(str(tmp_path), "x" * 255)
