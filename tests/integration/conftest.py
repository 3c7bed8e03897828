"""Real LXC: every test has its own root, run root, bridge and subnet, and leaves nothing."""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
_numbers = itertools.count(os.getpid() % 200)


@dataclass
class Lxcpy:
    """The command line on a root of its own."""

    root: str
    runroot: str
    bridge: str
    subnet: str
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": str(REPOSITORY),
            "LXCPY_ROOT": self.root,
            "LXCPY_RUNROOT": self.runroot,
            "LXCPY_BRIDGE": self.bridge,
            "LXCPY_SUBNET": self.subnet,
            **self.extra,
        }

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "lxcpy", *words]

    def __call__(
        self, *words: str, stdin: bytes = b"", code: int = 0, cwd: str = "/"
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command, which must exit with `code`."""
        done = subprocess.run(
            self.argv(*words), input=stdin, capture_output=True, env=self.env, cwd=cwd,
            timeout=120, check=False,
        )  # fmt: skip
        assert code == done.returncode, done.stderr.decode(errors="replace")
        return done

    def out(self, *words: str, stdin: bytes = b"") -> str:
        """Its standard output, without the line end."""
        return self(*words, stdin=stdin).stdout.decode().removesuffix("\n")

    def start(self, *words: str, **options: object) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self.argv(*words), env=self.env, **options)  # type: ignore[call-overload, no-any-return]  # options of many types

    def container(self, key: str) -> str:
        return f"{self.root}/containers/{key[:12]}"

    def keys(self) -> list[str]:
        return self.out("ps", "-aq").split()

    def monitor(self, key: str) -> dict[str, int]:
        import json

        path = Path(self.runroot) / "containers" / key[:12] / "monitor.json"
        record = json.loads(path.read_text())
        assert isinstance(record, dict)
        return record

    def close(self) -> None:
        if keys := self.keys():
            self("rm", "-f", *keys)
        table = f"lxcpy_{self.bridge}"
        if Path(f"/sys/class/net/{self.bridge}").exists():
            subprocess.run(["ip", "link", "delete", self.bridge], check=True)
        tables = subprocess.run(["nft", "list", "tables"], capture_output=True, check=True).stdout
        if table in tables.decode().split():
            subprocess.run(["nft", "delete", "table", "ip", table], check=True)


@pytest.fixture
def make_lxcpy() -> Iterator[Callable[..., Lxcpy]]:
    """Makes roots on tmpfs: an ext4 without a journal slows down with every deletion."""
    made: list[Lxcpy] = []
    places: list[str] = []

    def make(**extra: str) -> Lxcpy:
        place = tempfile.mkdtemp(prefix="lxcpy-test-", dir="/dev/shm")
        places.append(place)
        number = next(_numbers) % 250
        lxcpy = Lxcpy(
            root=f"{place}/root",
            runroot=f"{place}/run",
            bridge=f"lt{os.getpid() % 100000}n{len(made)}",
            subnet=f"10.{200 + os.getpid() % 50}.{number}.0/24",
            extra={"LXCPY_STORAGE_DRIVER": "overlay", **extra},
        )
        made.append(lxcpy)
        return lxcpy

    yield make
    try:
        for lxcpy in made:
            lxcpy.close()
    finally:
        for place in places:
            shutil.rmtree(place)


@pytest.fixture(scope="session")
def busybox_tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of `bootstrap busybox`."""
    from lxcpy.images import bootstrap

    path = tmp_path_factory.mktemp("images") / "busybox.tar"
    with path.open("wb") as file:
        bootstrap.busybox_tree(file)
    return path


@pytest.fixture
def lxcpy(make_lxcpy: Callable[..., Lxcpy], busybox_tar: Path) -> Lxcpy:
    """A root with the image busybox."""
    made = make_lxcpy()
    made("import", str(busybox_tar), "busybox", "-c", 'CMD ["sh"]')
    return made


@dataclass(frozen=True)
class Leftovers:
    mounts: frozenset[str]
    links: frozenset[str]
    cgroups: frozenset[str]
    tables: frozenset[str]
    processes: frozenset[str]
    files: frozenset[str]

    @classmethod
    def now(cls) -> "Leftovers":
        tables = subprocess.run(["nft", "list", "tables"], capture_output=True, check=True).stdout
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        return cls(
            # /run/netns is made by the first `ip netns add` of a machine, and kept by ip itself.
            mounts=frozenset(line.split()[4] for line in mounts) - {"/run/netns"},
            links=frozenset(os.listdir("/sys/class/net")),
            cgroups=frozenset(_cgroups()),
            tables=frozenset(tables.decode().splitlines()),
            processes=frozenset(_processes()),
            files=frozenset(name for name in os.listdir("/dev/shm") if "lxcpy" in name),
        )


def _cgroups() -> Iterator[str]:
    for top in Path("/sys/fs/cgroup").iterdir():
        if top.is_dir():
            yield from (str(p) for p in top.glob("lxc.payload.*"))
            yield from (str(p) for p in top.glob("lxc.monitor.*"))


def _processes() -> Iterator[str]:
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        line = b" ".join(words).decode(errors="replace")
        if words[0].endswith(b"lxc-start") or "from monitor import main" in line:
            yield f"{pid} {line}"


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left() -> Iterator[None]:
    """The session fails if mounts, links, cgroups, tables, processes or files remain."""
    before = Leftovers.now()
    yield
    after = Leftovers.now()
    left = {
        kind: sorted(getattr(after, kind) - getattr(before, kind))
        for kind in Leftovers.__dataclass_fields__
    }
    assert {kind: [] for kind in left} == left


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """All of these need root and LXC; without root they are skipped, and a skip is no pass."""
    for item in items:
        if str(item.path).startswith(str(Path(__file__).parent)):
            item.add_marker(pytest.mark.requires_root)
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root"))
