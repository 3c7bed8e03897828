"""The drivers against the kernel: real mounts, in a mount namespace of the test's own."""

import errno
import os
import random
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lxcpy import kernel
from lxcpy.errors import LxcpyError
from lxcpy.model import BranchFormat, Change, ChangeKind, Driver, Mount
from lxcpy.storage import choose, load, options
from lxcpy.storage.copy import Copy
from lxcpy.storage.overlay import Overlay
from lxcpy.storage.union import Union, view
from tests.integration.private_mounts import mount_tmpfs, run_privately
from tests.integration.trees import apply, copy_tree, entries, remove, snapshot

pytestmark = pytest.mark.requires_root

NAMES = ("a", "b", "c", "d")
ESCAPED = ("blank name", "comma,name", "colon:name", "back\\slash", "end\\", "é€", "=")
WEIRD = (*ESCAPED, 'quo"te', 'two"quo"tes')


def run_mount(mount: Mount) -> None:
    for command in mount.commands:
        subprocess.run(command, cwd=mount.cwd, check=True, capture_output=True)


def unmount(target: str) -> None:
    subprocess.run(("umount", target), check=True)


class Ground:
    """Directories for one union below `top`."""

    def __init__(self, top: str, layers: int) -> None:
        self.top = top
        self.layers = [f"{top}/layers/{index:012x}/fs" for index in range(layers)]
        self.upper, self.work, self.target = (
            f"{top}/containers/0123456789ab/{name}" for name in ("upper", "work", "rootfs")
        )
        for directory in (*self.layers, self.target):
            os.makedirs(directory)

    def mount(self, driver: Driver) -> None:
        run_mount(driver.mount(self.layers, self.upper, self.work, self.target))


@pytest.mark.parametrize("name", WEIRD)
def test_a_root_may_have_any_name(tmp_path: Path, name: str) -> None:
    def body() -> None:
        mount_tmpfs(str(tmp_path))
        ground = Ground(f"{tmp_path}/{name}", layers=2)
        driver = Overlay()
        driver.prepare(ground.layers, ground.upper, ground.work)
        Path(ground.layers[1], "below").touch()
        ground.mount(driver)
        Path(ground.target, "new").touch()
        assert sorted(os.listdir(ground.target)) == ["below", "new"]
        assert os.listdir(ground.upper) == ["new"]

    run_privately(body)


@pytest.mark.parametrize("name", ESCAPED)
def test_a_branch_may_have_a_name_that_needs_escapes(tmp_path: Path, name: str) -> None:
    def body() -> None:
        mount_tmpfs(str(tmp_path))
        layers = [f"{tmp_path}/layers/{name}/fs", f"{tmp_path}/layers/plain/fs"]
        upper, work, target = (f"{tmp_path}/{name}/{part}" for part in ("upper", "work", "rootfs"))
        for directory in (*layers, target):
            os.makedirs(directory)
        Overlay().prepare(layers, upper, work)
        Path(layers[0], "below").touch()
        run_mount(Overlay().mount(layers, upper, work, target))
        Path(target, "new").touch()
        assert sorted(os.listdir(target)) == ["below", "new"]
        assert os.listdir(upper) == ["new"]

    run_privately(body)


def find_maximum(ground: Ground) -> int:
    """How many of the layers one page of options takes."""
    count = 0
    with suppress(LxcpyError):
        for count in range(1, len(ground.layers)):
            Overlay().mount(ground.layers[: count + 1], ground.upper, ground.work, ground.target)
    return count


@pytest.mark.parametrize("count", [1, 2, 128, None])
def test_many_layers_are_mounted(tmp_path: Path, count: int | None) -> None:
    def body() -> None:
        mount_tmpfs(str(tmp_path))
        ground = Ground(f"{tmp_path}/root", layers=300)
        del ground.layers[count or find_maximum(ground) :]
        for index, layer in enumerate(ground.layers):
            Path(layer, f"from-{index}").touch()
        Overlay().prepare(ground.layers, ground.upper, ground.work)
        ground.mount(Overlay())
        assert len(ground.layers) == len(os.listdir(ground.target))
        assert len(ground.layers) >= (count or 128)

    run_privately(body)


def test_the_page_limit_is_the_kernels(tmp_path: Path) -> None:
    def body() -> None:
        mount_tmpfs(str(tmp_path))
        ground = Ground(f"{tmp_path}", layers=1)
        os.makedirs(f"{tmp_path}/upper")
        os.makedirs(f"{tmp_path}/work")
        text = "lowerdir=layers/000000000000/fs,upperdir=upper,workdir="
        codes = []
        for size in (options.LIMIT, options.LIMIT + 1):
            padding = "/".rjust(size - len(text) - len("./work"), "/")
            command = ("mount", "-i", "-t", "overlay", "-o", f"{text}.{padding}/work")
            argv = (*command, "overlay", ground.target)
            codes.append(subprocess.run(argv, cwd=tmp_path, check=False).returncode)
        assert codes == [0, 32]

    run_privately(body)


def test_the_root_directory_has_the_metadata_of_the_top_layer(tmp_path: Path) -> None:
    def body() -> None:
        mount_tmpfs(str(tmp_path))
        ground = Ground(f"{tmp_path}", layers=2)
        os.chmod(ground.layers[0], 0o751)
        os.chown(ground.layers[0], 3, 4)
        Overlay().prepare(ground.layers, ground.upper, ground.work)
        ground.mount(Overlay())
        root = os.stat(ground.target)
        assert (stat.S_IMODE(root.st_mode), root.st_uid, root.st_gid) == (0o751, 3, 4)

    run_privately(body)


@pytest.mark.parametrize("name", ["overlay", "copy"])
def test_a_probe_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    def body() -> None:
        mount_tmpfs(str(tmp_path))
        before = Path("/proc/thread-self/mountinfo").read_text()
        assert load(name).probe(str(tmp_path)) is None
        assert os.listdir(tmp_path) == []
        assert Path("/proc/thread-self/mountinfo").read_text() == before

    run_privately(body)


@pytest.mark.skipif("aufs" in kernel.filesystems(), reason="this kernel has aufs")
def test_without_aufs_overlay_is_chosen(tmp_path: Path) -> None:
    def body() -> None:
        mount_tmpfs(str(tmp_path))
        assert choose(None, str(tmp_path)).name == "overlay"
        with pytest.raises(LxcpyError) as caught:
            choose("aufs", str(tmp_path))
        assert caught.value.message == (
            "storage driver aufs does not work here: this kernel has no aufs"
        )

    run_privately(body)


def test_on_an_overlay_only_the_copy_works(tmp_path: Path) -> None:
    def body() -> None:
        mount_tmpfs(str(tmp_path))
        ground = Ground(f"{tmp_path}", layers=2)
        Overlay().prepare(ground.layers, ground.upper, ground.work)
        ground.mount(Overlay())
        assert choose(None, ground.target).name == "copy"
        with pytest.raises(LxcpyError, match="does not work here"):
            choose("overlay", ground.target)

    run_privately(body)


# --- the properties: any tree, any changes --------------------------------------------------


def paths(choice: random.Random) -> str:
    return "/".join(choice.choice(NAMES) for _ in range(choice.randint(1, 3)))


class Scribbler:
    """Random acts on a tree; each file gets a time of its own so that trees can be told apart."""

    def __init__(self, top: str, choice: random.Random) -> None:
        self.top = top
        self.choice = choice
        self.acts: list[Callable[[str], None]] = [
            self.create, self.create, self.directory, self.directory, self.write, self.chmod,
            self.chown, self.delete, self.delete, self.rename, self.symlink, self.link, self.fifo,
            self.touch, self.replace, self.rewrite_silently, self.attribute, self.device,
        ]  # fmt: skip

    def scribble(self, count: int) -> None:
        for _ in range(count):
            path = f"{self.top}/{paths(self.choice)}"
            with suppress(OSError):
                self.choice.choice(self.acts)(path)

    def create(self, path: str) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as file:
            file.write(self.choice.randbytes(self.choice.randint(0, 3)))
        self.touch(path)

    def touch(self, path: str) -> None:
        time = 1_500_000_000_000_000_000 + self.choice.getrandbits(50)
        os.utime(path, ns=(time, time), follow_symlinks=False)

    def directory(self, path: str) -> None:
        os.makedirs(path)

    def write(self, path: str) -> None:
        if os.path.isfile(path) and not os.path.islink(path):
            with open(path, "ab") as file:
                file.write(b"more")

    def rewrite_silently(self, path: str) -> None:
        """New bytes, with the old size and time."""
        info = os.lstat(path)
        if stat.S_ISREG(info.st_mode) and info.st_size:
            with open(path, "r+b") as file:
                file.write(self.choice.randbytes(info.st_size))
            os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))

    def chmod(self, path: str) -> None:
        if not os.path.islink(path):
            os.chmod(path, self.choice.choice((0o755, 0o700, 0o4755, 0o1777)))

    def chown(self, path: str) -> None:
        os.chown(path, self.choice.randint(0, 2), self.choice.randint(0, 2), follow_symlinks=False)

    def attribute(self, path: str) -> None:
        value = self.choice.randbytes(2)
        os.setxattr(path, "trusted.mine", value, follow_symlinks=False)

    def delete(self, path: str) -> None:
        remove(path)

    def replace(self, path: str) -> None:
        """Directory by file, file by directory, directory by an empty one (opaque)."""
        was_directory = os.path.isdir(path)
        remove(path)
        self.choice.choice((self.create, self.directory) if was_directory else (self.directory,))(
            path
        )

    def rename(self, path: str) -> None:
        """As mv does: overlayfs refuses to rename a directory of a layer with EXDEV."""
        target = f"{self.top}/{paths(self.choice)}"
        try:
            os.rename(path, target)
        except OSError as error:
            if error.errno == errno.EXDEV and not target.startswith(f"{path}/"):
                copy_tree(path, target)
                remove(path)

    def symlink(self, path: str) -> None:
        os.symlink(self.choice.choice(("a", "/b", "../c", "a/b")), path)
        self.touch(path)

    def link(self, path: str) -> None:
        os.link(path, f"{self.top}/{paths(self.choice)}", follow_symlinks=False)

    def fifo(self, path: str) -> None:
        os.mkfifo(path)
        self.touch(path)

    def device(self, path: str) -> None:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, self.choice.randint(3, 5)))
        self.touch(path)


def hide(branch: BranchFormat, layer: str, choice: random.Random) -> None:
    """Whiteouts and opaque directories at random places of a layer."""
    for directory, directories, _ in list(os.walk(layer)):
        if choice.random() < 0.5:
            branch.make_whiteout(directory, choice.choice(NAMES))
        for name in directories:
            if choice.random() < 0.3:
                branch.make_opaque(f"{directory}/{name}")


def fill_layers(ground: Ground, branch: BranchFormat, choice: random.Random) -> None:
    for layer in ground.layers:
        Scribbler(layer, choice).scribble(25)
        hide(branch, layer, choice)


def seen(union: Union, path: str = "") -> Iterator[str]:
    """All paths of a union, found by reading its branches."""
    for name, host in union.children(path or "/").items():
        assert union.lookup(f"{path}/{name}") == host
        yield f"{path}/{name}"
        if os.path.isdir(host) and not os.path.islink(host):
            yield from seen(union, f"{path}/{name}")


def check_changes(driver: Driver, top: str, seed: int) -> None:
    choice = random.Random(seed)
    ground = Ground(top, layers=choice.randint(1, 4))
    fill_layers(ground, driver, choice)
    driver.prepare(ground.layers, ground.upper, ground.work)
    ground.mount(driver)
    image = f"{top}/image"
    copy_tree(ground.target, image)
    before = snapshot(image)
    assert list(driver.changes(ground.layers, ground.upper)) == []
    assert set(before) == set(seen(Union(driver, ground.layers)))

    Scribbler(ground.target, choice).scribble(40)

    after = snapshot(ground.target)
    assert set(after) == set(seen(view(driver, ground.layers, ground.upper)))
    changes = list(driver.changes(ground.layers, ground.upper))
    listed = [change.path for change in changes]
    assert len(listed) == len(set(listed))
    for change in changes:
        if change.kind is ChangeKind.CHANGED and before[change.path] == after[change.path]:
            assert any(path.startswith(f"{change.path}/") for path in listed)
    apply(changes, ground.target, image)
    assert after == snapshot(image)
    unmount(ground.target)


@pytest.mark.parametrize("driver", [Overlay(), Copy()], ids=["overlay", "copy"])
def test_changes_turn_the_image_into_the_container(tmp_path: Path, driver: Driver) -> None:
    @settings(max_examples=120, deadline=None, database=None)
    @given(seed=st.integers(0, 2**32))
    def check(seed: int) -> None:
        mount_tmpfs(str(tmp_path))
        check_changes(driver, str(tmp_path), seed)
        unmount(str(tmp_path))

    run_privately(check)


def test_a_copy_never_writes_through_a_link(tmp_path: Path) -> None:
    def body() -> None:
        mount_tmpfs(str(tmp_path))
        victim = tmp_path / "victim"
        (victim / "d").mkdir(parents=True)
        (victim / "f").write_text("safe")
        ground = Ground(f"{tmp_path}/root", layers=2)
        top, bottom = ground.layers
        Path(bottom, "f").symlink_to(victim / "f")
        Path(bottom, "d").symlink_to(victim / "d")
        Path(bottom, ".wh...").touch()  # would hide ".."
        Path(top, "f").write_text("new")
        Path(top, "d").mkdir()
        Path(top, "d/f").write_text("new")
        Copy().prepare(ground.layers, ground.upper, ground.work)
        assert entries(str(victim)) == ["/d", "/f"]
        assert (victim / "f").read_text() == "safe"
        assert entries(ground.upper) == ["/d", "/d/f", "/f"]

    run_privately(body)


@pytest.mark.skipif("aufs" not in kernel.filesystems(), reason="this kernel has no aufs")
@pytest.mark.parametrize("count", [2, 100])
def test_aufs_mounts(tmp_path: Path, count: int) -> None:
    def body() -> None:
        mount_tmpfs(str(tmp_path))
        ground = Ground(f"{tmp_path}", layers=count)
        driver = load("aufs")
        for index, layer in enumerate(ground.layers):
            Path(layer, f"from-{index}").touch()
        driver.prepare(ground.layers, ground.upper, ground.work)
        ground.mount(driver)
        assert count == len(os.listdir(ground.target))
        Path(ground.target, f"from-{count - 1}").unlink()
        assert [Change(ChangeKind.DELETED, f"/from-{count - 1}")] == list(
            driver.changes(ground.layers, ground.upper)
        )

    run_privately(body)
