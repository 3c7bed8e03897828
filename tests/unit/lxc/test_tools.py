import os
from pathlib import Path

import pytest

from lxcpy import kernel
from lxcpy.lxc import tools

SAMPLES = Path(__file__).parent / "samples"
REASONS = {
    "missing-command": (127, 'exec "nope": no such file or directory'),
    "missing-interpreter": (127, 'exec "/root/badint": no such file or directory'),
    "not-executable": (126, 'exec "/root/noexec": permission denied'),
    "directory": (126, 'exec "/root": permission denied'),
    "missing-bridge": (
        125,
        'Failed to attach "vl1" to bridge "nobr0", bridge interface doesn\'t exist:'
        " no such file or directory",
    ),
    "missing-bind": (
        125,
        'Failed to mount "/nonexistent/x" onto "/data": no such file or directory',
    ),
    "file-on-directory": (125, 'Failed to mount "/etc/hosts" onto "/etc": not a directory'),
    "symlink-target": (
        125,
        "resolv.conf in /etc/resolv.conf was a symbolic link!: too many levels of symbolic links",
    ),
    "unknown-key": (
        125,
        'Unsupported config key "lxc.bogus.key": invalid argument in line "lxc.bogus.key = 1"',
    ),
    "unknown-capability": (
        125,
        'Invalid capability specified: invalid argument in line "lxc.cap.keep = bogus"',
    ),
    "bad-value": (125, 'Failed to set "memory.limit_in_bytes" to "nonsense": invalid argument'),
    "unknown-cgroup": (
        125,
        'Failed to setup limits for the "bogus" controller. The controller seems to be unused by'
        ' "cgfsng" cgroup driver or not enabled on the cgroup hierarchy: no such file or directory',
    ),
    "missing-seccomp": (
        125,
        "Failed to open seccomp policy file /nonexistent/profile: no such file or directory",
    ),
    "missing-workdir": (
        125,
        'Could not change directory to "/nowhere": no such file or directory',
    ),
    "hook-failed": (125, "mounting the root: mount: bad usage"),
    "mount-failed": (
        125,
        "mounting the root: mount: /var/lib/lxcpy/containers/0123456789ab/rootfs:"
        " special device /nope/layers/r does not exist.",
    ),
    "host-hook-failed": (
        125,
        'Failed to run lxc.hook.pre-start for container "0123456789ab":'
        " Script exited with status 1",
    ),
    "prlimit": (125, "Failed to set limit nofile: operation not permitted"),
    "sysctl": (
        125,
        "Failed to setup sysctl parameters kernel.bogus to 1: no such file or directory",
    ),
    "success": (125, "LXC gave no reason"),
}


@pytest.mark.parametrize("name", sorted(path.stem for path in SAMPLES.glob("*.log")))
def test_explain(name: str) -> None:
    assert REASONS[name] == tools.explain((SAMPLES / f"{name}.log").read_text())


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("", "LXC gave no reason"),
        ("junk\n - - \nERROR\n", "LXC gave no reason"),
        ("lxc-start a 2026 ERROR start - f.c:f:1 - The container failed to start\n",
         "The container failed to start"),
        ("lxc-start a 2026 ERROR conf - f.c:f:1 - Script exited with status 9\n",
         "a hook failed: Script exited with status 9"),
    ],
)  # fmt: skip
def test_explain_what_says_little(log: str, reason: str) -> None:
    assert (125, reason) == tools.explain(log)


def test_start_argv() -> None:
    expected = "lxc-start -F -C -P /c -n k -o /dev/fd/7 -l DEBUG -s x --".split()
    argv = ["-x", "a b", ""]
    assert [*expected, *argv] == tools.start_argv(
        "k", "/c", log_fd=7, options=("-s", "x"), argv=argv
    )


def test_attach_argv_hides_values_and_spares_the_host() -> None:
    env = {"SECRET": "s3\n", "LD_PRELOAD": "/x.so", "PATH": "/bin"}
    argv, environment = tools.attach_argv("k", "/c", uid=1, gid=2, env=env, argv=["id", "-u"])
    expected = "lxc-attach -P /c -n k -f /dev/null -u 1 -g 2 --clear-env".split()
    options = ["--keep-var", "SECRET", "--set-var", "LD_PRELOAD=/x.so", "--keep-var", "PATH"]
    assert [*expected, *options, "--", "id", "-u"] == argv
    assert environment == {"SECRET": "s3\n", "PATH": "/bin"}


def test_cgroups_of_a_key_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = [tmp_path / "cpu", tmp_path / "memory"]
    monkeypatch.setattr(kernel, "cgroup_roots", lambda: [*map(str, roots), f"{tmp_path}/gone"])
    gone = ["lxc.payload.ab", "lxc.payload.ab/.lxc", "lxc.monitor.ab", "lxc.payload.ab-1"]
    kept = ["lxc.payload.abc", "lxc.payload.ab-", "lxc.payload.ab-x", "lxc.monitor.a", "lxc.pivot"]
    for root in roots:
        for name in (*gone, *kept):
            (root / name).mkdir(parents=True)
    tools.sweep_cgroups("ab")
    for root in roots:
        assert sorted(kept) == sorted(os.listdir(root))


def test_cgroup_in_use_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "cgroup_roots", lambda: [str(tmp_path)])
    (tmp_path / "lxc.payload.ab" / "busy" / "inner").mkdir(parents=True)
    (tmp_path / "lxc.payload.ab" / "busy" / "file").touch()
    tools.sweep_cgroups("ab")
    assert os.listdir(tmp_path / "lxc.payload.ab" / "busy") == ["file"]
