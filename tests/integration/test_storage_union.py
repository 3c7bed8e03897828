"""The union's view against overlayfs itself, where marks need root."""

import os
from pathlib import Path

import pytest

from lxcpy.storage.overlay import OPAQUE, WHITEOUT, Overlay
from lxcpy.storage.union import Union, view
from tests.integration.private_mounts import mount_tmpfs, run_privately
from tests.integration.test_storage import Ground
from tests.integration.trees import entries

pytestmark = pytest.mark.requires_root


def test_whiteouts_by_attribute_are_the_kernels(tmp_path: Path) -> None:
    """Linux 6.7 and later: an empty file with an attribute, in a directory with opaque = x."""
    release = [int(part) for part in os.uname().release.split(".")[:2]]
    if release < [6, 7]:
        pytest.skip("the kernel knows them since Linux 6.7")

    def body() -> None:
        mount_tmpfs(str(tmp_path))
        ground = Ground(f"{tmp_path}", layers=2)
        for layer in ground.layers:
            for name in ("marked", "unmarked"):
                os.makedirs(f"{layer}/{name}")
                Path(layer, name, "file").touch()
        for name in ("marked", "unmarked"):
            os.setxattr(f"{ground.layers[0]}/{name}/file", WHITEOUT, b"")
        os.setxattr(f"{ground.layers[0]}/marked", OPAQUE, b"x")
        Overlay().prepare(ground.layers, ground.upper, ground.work)
        ground.mount(Overlay())
        union = Union(Overlay(), ground.layers)
        assert os.listdir(f"{ground.target}/marked") == []
        assert union.children("/marked") == {}
        assert union.lookup("/unmarked/file") is not None

    run_privately(body)


def test_a_users_attribute_is_no_opaque_mark(tmp_path: Path) -> None:
    def body() -> None:
        mount_tmpfs(str(tmp_path))
        ground = Ground(f"{tmp_path}", layers=2)
        for layer in ground.layers:
            os.makedirs(f"{layer}/d")
        Path(ground.layers[1], "d/file").touch()
        os.setxattr(f"{ground.layers[0]}/d", "user.overlay.opaque", b"y")
        Overlay().prepare(ground.layers, ground.upper, ground.work)
        ground.mount(Overlay())
        assert os.listdir(f"{ground.target}/d") == ["file"]
        assert list(Union(Overlay(), ground.layers).children("/d")) == ["file"]

    run_privately(body)


@pytest.mark.parametrize("deleted", [False, True])
def test_a_directory_made_in_the_branch_is_in_the_mount(tmp_path: Path, deleted: bool) -> None:
    def body() -> None:
        mount_tmpfs(str(tmp_path))
        ground = Ground(f"{tmp_path}", layers=2)
        os.makedirs(f"{ground.layers[1]}/srv")
        os.chmod(f"{ground.layers[1]}/srv", 0o1777)
        Path(ground.layers[1], "srv/old").touch()
        driver = Overlay()
        driver.prepare(ground.layers, ground.upper, ground.work)
        if deleted:
            driver.make_whiteout(ground.upper, "srv")
        view(driver, ground.layers, ground.upper).make_directory("/srv/app", uid=5, gid=6)
        ground.mount(driver)
        assert entries(ground.target) == ["/srv", "/srv/app"] + ["/srv/old"] * (not deleted)
        made, parent = os.stat(f"{ground.target}/srv/app"), os.stat(f"{ground.target}/srv")
        assert (made.st_mode, made.st_uid, made.st_gid) == (0o40755, 5, 6)
        assert (0o40755 if deleted else 0o41777) == parent.st_mode

    run_privately(body)
