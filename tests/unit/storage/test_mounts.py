"""The mount lines, byte for byte, and their limits."""

import os
import shlex
from pathlib import Path

import pytest

from lxcpy.errors import LxcpyError
from lxcpy.model import Driver, Mount
from lxcpy.storage import aufs, load, options, overlay

GOLDEN = os.path.join(os.path.dirname(__file__), "../../golden")
ROOT = "/var/lib/lxcpy"
CONTAINER = f"{ROOT}/containers/0123456789ab"


def layers(count: int, root: str = ROOT) -> list[str]:
    """An init layer in the container's directory over `count` layers of an image."""
    image = [f"{root}/layers/{index:012x}/fs" for index in reversed(range(count))]
    return [f"{root}/containers/0123456789ab/init", *image]


def mount(driver: Driver, branches: list[str], root: str = ROOT) -> Mount:
    container = f"{root}/containers/0123456789ab"
    return driver.mount(branches, f"{container}/upper", f"{container}/work", f"{container}/rootfs")


def render(mount: Mount) -> str:
    return "".join(f"{shlex.join(line)}\n" for line in (("cd", mount.cwd), *mount.commands))


@pytest.fixture(autouse=True)
def _a_kernel_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "SYSFS", "/nonexistent")
    monkeypatch.setattr(aufs, "DIRPERM1_SINCE", (0, 0))


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("overlay", 1), ("overlay", 3), ("overlay", 128),
        ("aufs", 3), ("aufs", 40), ("aufs", 128), ("aufs", 500),
        ("copy", 3),
    ],
)  # fmt: skip
def test_mount_lines_are_golden(name: str, count: int) -> None:
    rendered = mount(load(name), layers(count))
    with open(f"{GOLDEN}/mount-{name}-{count}.txt", encoding="utf-8") as file:
        assert file.read() == render(rendered)


@pytest.mark.parametrize("count", [3, 40, 128, 500, 1000])
def test_aufs_has_every_branch_once_in_order_within_a_page(count: int) -> None:
    branches = layers(count)
    rendered = mount(load("aufs"), branches)
    texts = [command[command.index("-o") + 1] for command in rendered.commands]
    assert all(len(text) <= options.LIMIT for text in texts)
    first, *more = texts
    found = first.split(",")[0].removeprefix("br:").split(":")[1:]
    for text in more:
        assert text.startswith("remount,append:")
        found += [part.removeprefix("append:") for part in text.split(",")[1:]]
    expected = [f"{os.path.relpath(path, rendered.cwd)}=ro+wh" for path in branches]
    assert expected == found


def test_two_aufs_mounts_have_files_of_their_own() -> None:
    names = set()
    for target in ("one", "two"):
        command = load("aufs").mount(layers(1), "/c/upper", "/c/work", f"/c/{target}").commands[0]
        names.add(command[command.index("-o") + 1].split("xino=")[1])
    assert len(names) == 2


@pytest.mark.parametrize(
    ("root", "cwd"), [('/q"uote,\\', '/q"uote,\\/layers'), ("/a b:c", "/a b:c/layers")]
)
@pytest.mark.parametrize("name", ["overlay", "aufs"])
def test_the_name_of_the_root_is_not_in_the_options(name: str, root: str, cwd: str) -> None:
    strange = mount(load(name), layers(2, root), root)
    plain = mount(load(name), layers(2))
    assert cwd == strange.cwd
    texts = [
        command[command.index("-o") + 1].split(",xino")[0]
        for command in (plain.commands[0], strange.commands[0])
    ]
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("name", "branch", "written"),
    [
        ("overlay", "a,b", "a\\,b/fs"),
        ("overlay", "a:b", "a\\:b/fs"),
        ("overlay", "a\\b", "a\\\\b/fs"),
        ("overlay", "a b", "a b/fs"),
        ("overlay", 'a"b', None),
        ("aufs", "a b", "a b/fs=ro+wh"),
        ("aufs", "a,b", None),
        ("aufs", "a:b", None),
        ("aufs", "a=b", None),
        ("aufs", 'a"b', None),
        ("aufs", "a\\b", None),
    ],
)
def test_a_branch_name_is_escaped_or_refused(name: str, branch: str, written: str | None) -> None:
    branches = [f"/l/{branch}/fs", "/l/plain/fs"]
    if written is None:
        with pytest.raises(LxcpyError, match="mount options cannot carry"):
            load(name).mount(branches, "/c/upper", "/c/work", "/c/rootfs")
    else:
        command = load(name).mount(branches, "/c/upper", "/c/work", "/c/rootfs").commands[0]
        assert written in command[command.index("-o") + 1]


def test_the_most_layers_that_fit_are_named() -> None:
    with pytest.raises(LxcpyError) as caught:
        mount(load("overlay"), layers(400))
    fit = int(caught.value.message.split(": ")[1].split()[0])
    mount(load("overlay"), layers(fit - 1))
    with pytest.raises(LxcpyError):
        mount(load("overlay"), layers(fit))
    assert caught.value.hint is not None


def test_the_kernel_takes_500_layers() -> None:
    branches = [f"/l/{index}" for index in range(501)]
    load("overlay").mount(branches[1:], "/l/u", "/l/w", "/l/t")
    with pytest.raises(LxcpyError, match="cannot mount 501 layers: 500 of them fit"):
        load("overlay").mount(branches, "/l/u", "/l/w", "/l/t")


@pytest.mark.parametrize("name", ["overlay", "aufs"])
def test_no_layer_is_an_error(name: str) -> None:
    with pytest.raises(LxcpyError, match="needs at least one layer"):
        load(name).mount([], "/c/upper", "/c/work", "/c/rootfs")


def test_features_that_the_kernel_does_not_know_are_not_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    os.makedirs(f"{tmp_path}/parameters/redirect_dir")
    monkeypatch.setattr(overlay, "SYSFS", str(tmp_path))
    command = mount(load("overlay"), layers(1)).commands[0]
    assert command[command.index("-o") + 1].endswith("/work,redirect_dir=off")


@pytest.mark.parametrize("name", ["overlay", "aufs"])
def test_layers_on_another_disk_are_not_left_by_dots(name: str, tmp_path: Path) -> None:
    (tmp_path / "disk/layers").mkdir(parents=True)
    (tmp_path / "root").mkdir()
    (tmp_path / "root/layers").symlink_to(tmp_path / "disk/layers")
    command = mount(load(name), layers(1, f"{tmp_path}/root"), f"{tmp_path}/root").commands[0]
    assert f"{tmp_path}/root/containers/0123456789ab/upper" in command[command.index("-o") + 1]
    assert ".." not in command[command.index("-o") + 1]
