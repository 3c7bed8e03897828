import os
from pathlib import Path

import pytest

from lxcpy import paths
from lxcpy.errors import LxcpyError


def test_prepare_makes_private_directories(tmp_path: Path) -> None:
    where = paths.Paths(f"{tmp_path}/a/root", f"{tmp_path}/run")
    paths.prepare(where)
    made = (where.root, where.runroot, where.layers, where.images, where.containers, where.names,
            where.networks, where.scratch, where.cache, where.locks, where.leases)  # fmt: skip
    assert {path: 0o700 for path in made} == {path: os.stat(path).st_mode & 0o777 for path in made}
    paths.prepare(where)


def test_prepare_after_a_reboot_makes_the_run_root_again(tmp_path: Path) -> None:
    paths.prepare(paths.Paths(f"{tmp_path}/root", f"{tmp_path}/run"))
    fresh = paths.Paths(f"{tmp_path}/root", f"{tmp_path}/run-after-boot")
    paths.prepare(fresh)
    assert os.path.isdir(os.path.dirname(fresh.run("0123456789ab")))


def test_a_root_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LxcpyError, match=r"cannot make directory .*/file/root: Not a directory"):
        paths.prepare(paths.Paths(f"{tmp_path}/file/root", f"{tmp_path}/run"))


def test_the_directories_of_a_container(tmp_path: Path) -> None:
    where = paths.Paths("/root", "/run")
    assert where.container("0123456789ab") == "/root/containers/0123456789ab"
    assert where.run("0123456789ab") == "/run/containers/0123456789ab"


def test_the_admins_template_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "ADMIN_TEMPLATES", str(tmp_path))
    packaged = paths.template("lxc.conf.j2")
    assert os.path.dirname(packaged) != str(tmp_path)
    (tmp_path / "lxc.conf.j2").touch()
    assert paths.template("lxc.conf.j2") == f"{tmp_path}/lxc.conf.j2"


def test_a_missing_template_is_named() -> None:
    with pytest.raises(LxcpyError, match="template none is missing"):
        paths.template("none")
