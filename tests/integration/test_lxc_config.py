"""Rendered configurations against the installed LXC."""

import dataclasses
import subprocess
from pathlib import Path

import pytest

from lxcpy import kernel
from lxcpy.lxc import tools
from lxcpy.lxc.config import Bind, Config, read_config, render
from tests.integration.lxc_starts import ENVIRONMENT, Starts
from tests.unit.lxc import cases

pytestmark = pytest.mark.requires_root

ENV = {
    "BLANKS": "  lead trail  ", "QUOTES": '"quoted"', "QUOTE": '"', "SINGLE": "'x'",
    "EQUALS": "a=b==", "HASH": "# c #",
    "BACKSLASH": "\\ \\n \\\\", "DOLLAR": "$PATH ${A} `id`", "TAB": "\ta\t\t",
    "UTF8": "é✓", "BYTES": "\udcff\udcfe\udc80", "EMPTY": "", "BIG": "x" * 100_000, "my.var": "1",
    "a b": "2", " lead": "3", "trail ": "4", '"q"': "5", "LINES": "a\nb\r\nlxc.environment = X=1\r",
    "NEWLINE": "\n", "CR": "\r", "CONTROL": "".join(map(chr, range(1, 32))) + "\x7f",
    "PATH": "/bin", "a\nname": "6",
}  # fmt: skip


@pytest.fixture
def starts(tmp_path: Path) -> Starts:
    return Starts(tmp_path / "it's here")


def environment(data: bytes) -> dict[str, str]:
    items = [item.decode(errors="surrogateescape") for item in data.split(b"\0") if item]
    return dict(item.split("=", 1) for item in items)


@pytest.mark.parametrize("name", [name for name in cases.CONFIGS if name not in ("veth", "full")])
def test_lxc_starts_every_golden_configuration(starts: Starts, name: str) -> None:
    config = starts.adapt(cases.CONFIGS[name])
    done = starts.run(config, "true")
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 0)
    assert b"Started" in starts.said(config)


def test_lxc_starts_the_full_configuration(starts: Starts) -> None:
    config = dataclasses.replace(starts.adapt(cases.FULL), network=cases.NO_NETWORK)
    done = starts.run(config, "/bin/sh", "-c", "id; hostname; cat /proc/1/environ; ls -d /d*r")
    assert done.stderr == b""
    assert done.stdout.startswith(b"uid=1000 gid=1001 groups=4,24\nfull\n")
    assert b"PEM=one\ntwo\r\n\0" in done.stdout
    assert b"LXCPY_ENV_LD_AUDIT=\n\0" in done.stdout
    assert done.stdout.endswith(b"/data dir\n")


def test_environment_arrives_byte_for_byte(starts: Starts) -> None:
    config = dataclasses.replace(starts.config(), env=tuple(ENV.items()))
    done = starts.run(config, "cat", "/proc/self/environ")
    assert environment(done.stdout) == {**ENV, "container": "lxc"}


def test_no_hook_obeys_the_loader_variables_of_an_image(starts: Starts) -> None:
    config = dataclasses.replace(
        starts.config(), env=(("LD_PRELOAD", "/nowhere.so"), ("LD_LIBRARY_PATH", "\n"))
    )
    done = starts.run(config, "true")
    assert done.returncode == 0
    assert b"produced output" not in starts.said(config)


def test_docker_promises(starts: Starts) -> None:
    config = starts.config()
    done = starts.run(config, "cat", "/proc/self/status", "/proc/mounts", "/proc/kcore")
    status, _, mounts = done.stdout.decode().partition("\nvoluntary_ctxt")
    assert "CapBnd:\t00000000a80425fb" in status
    assert "CapEff:\t00000000a80425fb" in status
    assert "Seccomp:\t2" in status
    assert {"/dev/shm", "/dev/mqueue", "/sys/firmware", "/proc/bus"} <= {
        line.split()[1] for line in mounts.splitlines()[1:]
    }
    assert f"shm /dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size={64 << 10}k" in mounts


@pytest.mark.parametrize(
    "command",
    [
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "echo 1 > /proc/sys/kernel/printk",
        "echo b > /proc/sysrq-trigger",
        "echo 1 > /sys/kernel/mm/ksm/run",
        "cat /proc/kcore",
        "unshare -r true",
        "unshare -m true",
        "unshare -n true",
        "mknod /tmp/disk b 254 0 && cat /tmp/disk",
        "mount -t tmpfs none /tmp",
        "hostname other",
        "chroot / mount -t proc proc /tmp",
    ],
)
def test_what_a_container_cannot_do(starts: Starts, command: str) -> None:
    script = f"busybox {command}" if command[0] not in "eu" else command
    done = starts.run(starts.config(), "sh", "-c", f"({script}) && echo it can")
    assert b"it can" not in done.stdout
    assert done.returncode == 0


def test_limits(starts: Starts) -> None:
    config = dataclasses.replace(starts.config(), pids_limit=7)
    done = starts.run(
        config, "sh", "-c", "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max"
    )
    assert done.stdout == b"7\n"


@pytest.mark.parametrize("readonly", [True, False])
def test_binds_with_strange_names(starts: Starts, readonly: bool) -> None:
    source = starts.directory / "a b\t\\040#\"'é"
    source.write_text("inside\n")
    bind = Bind(str(source), "/etc/new \\ dir/x\ty", readonly=readonly, directory=False)
    config = dataclasses.replace(starts.config(), binds=(bind,))
    done = starts.run(
        config, "sh", "-c", 'cat "$1"; echo more >> "$1"', "x", "/etc/new \\ dir/x\ty"
    )
    assert done.stdout == b"inside\n"
    assert source.read_text() == ("inside\n" if readonly else "inside\nmore\n")


def test_our_reader_reads_what_lxc_reads(starts: Starts) -> None:
    config = dataclasses.replace(starts.config(), env=(("A", ' "x" '),), hostname="a b")
    starts.run(config, "true")
    read = dict(read_config(render(config).text))
    for key in ("lxc.uts.name", "lxc.environment", "lxc.hook.pre-mount", "lxc.init.cwd"):
        done = subprocess.run(
            ["lxc-info", "-P", starts.containers, "-n", config.key, "-c", key],
            check=True,
            capture_output=True,
            text=True,
        )
        assert f"{key} = {read[key]}" == done.stdout.rstrip("\n")


@pytest.mark.parametrize(
    ("argv", "code"), [(["nope"], 127), (["/etc"], 126), (["/bin/true"], None)]
)
def test_explanations(starts: Starts, argv: list[str], code: int | None) -> None:
    config = starts.config()
    done = starts.run(config, *argv)
    assert (code is None) == (done.returncode == 0)
    if code is not None:
        assert code == tools.explain(starts.said(config).decode())[0]


def attach(starts: Starts, config: Config, *argv: str, **env: str) -> tuple[int, bytes, bytes]:
    command, own = tools.attach_argv(
        config.key, starts.containers, uid=5, gid=6, env=env, argv=argv
    )
    done = subprocess.run(
        command, check=False, capture_output=True, env={**ENVIRONMENT, **own}, timeout=30
    )
    return done.returncode, done.stdout, done.stderr


def test_attach(starts: Starts) -> None:
    config = dataclasses.replace(starts.config(), env=(("A", "config"), ("OLD", "1")))
    given = {**ENV, "A": "exec", "LD_PRELOAD": "/x.so\n"}
    with starts.running(config, "sleep", "100"):
        code, out, _ = attach(starts, config, "cat", "/proc/self/environ", **given)
        assert (0, {**given, "container": "lxc"}) == (code, environment(out))
        code, out, err = attach(starts, config, "id", PATH="/bin")
        assert (code, out, err) == (0, b"uid=5 gid=6\n", b"")
        assert attach(starts, config, "nope", PATH="/bin")[0] == 127
        assert attach(starts, config, "/etc")[0] == 126
        assert attach(starts, config, "sh", "-c", "exit 9", PATH="/bin")[0] == 9
        status = attach(starts, config, "cat", "/proc/self/status", PATH="/bin")[1]
        assert b"CapBnd:\t00000000a80425fb" in status
        assert b"Seccomp:\t2" in status


@pytest.mark.parametrize("length", [10, 70, 71, 72, 73, 74, 75, 76, 77, 120])
def test_socket_tells_who_runs(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    base = tmp_path_factory.mktemp("s")
    starts = Starts(base / ("x" * max(1, length - len(str(base)) - 1)))
    config = starts.config()
    assert not tools.is_running_socket(config.key, starts.containers)
    with starts.running(config, "sleep", "100"):
        assert tools.is_running_socket(config.key, starts.containers)
        assert not tools.is_running_socket(config.key[:-1], starts.containers)
    assert not tools.is_running_socket(config.key, starts.containers)


def test_cgroups_of_a_killed_monitor_are_swept(starts: Starts) -> None:
    config = starts.config()
    command, env = starts.argv(config, ["sleep", "100"])
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL)
    while b"Started" not in starts.said(config):
        assert process.poll() is None
    process.kill()
    process.wait()
    found = {name for root in kernel.cgroup_roots() for name in leftovers(root, config.key)}
    assert found != set()
    for _ in range(3000):  # the host's init reaps the orphan in its own time
        tools.sweep_cgroups(config.key)
        if not any(leftovers(root, config.key) for root in kernel.cgroup_roots()):
            return
        subprocess.run(["sleep", "0.01"], check=True)
    pytest.fail("cgroups are left")


def leftovers(root: str, key: str) -> list[str]:
    return [path.name for path in Path(root).iterdir() if key in path.name]
