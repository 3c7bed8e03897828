"""LXC's programs: their command lines, and what their log and the kernel say."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from lxcpy import kernel
from lxcpy.errors import EXIT_FAILURE, EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND
from lxcpy.lxc.config import is_host_name

SOCKET_NAME_BYTES = 105  # sun_path (108, unix(7)) less what LXC 5.0.2 keeps free
_FNV_OFFSET, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3  # FNV-1a, 64 bits

# Log lines that say that something failed, but not what.
_EMPTY_WORDS = (
    "Failed to spawn container", "The container failed to start", "An error occurred in another",
    "Additional information can be obtained", "Failed to initialize", "Failed to setup container",
)  # fmt: skip
_ROOT = "/lxc/rootfs"  # end of the path where LXC assembles the container's root


def start_argv(
    key: str,
    containers_dir: str,
    *,
    argv: Sequence[str],
    options: Iterable[str] = (),
    log_fd: int = 3,
) -> list[str]:
    """lxc-start in the foreground, its log on descriptor `log_fd`.

    The exit status of the payload is only in the log: at INFO for a failure, at DEBUG for success.
    -C keeps the descriptors, the log's too, out of the container.
    """
    return [
        "lxc-start", "-F", "-C", "-P", containers_dir, "-n", key,
        "-o", f"/dev/fd/{log_fd}", "-l", "DEBUG", *options, "--", *argv,
    ]  # fmt: skip


def attach_argv(
    key: str,
    containers_dir: str,
    *,
    uid: int,
    gid: int,
    env: Mapping[str, str],
    argv: Sequence[str],
) -> tuple[list[str], dict[str, str]]:
    """lxc-attach and the environment to run it with, which gives `env` and no more to `argv`.

    Values travel in lxc-attach's own environment, where ps does not show them, but for names that
    it would obey itself. The empty configuration keeps the lxc.environment of the container out:
    it would win (LXC 5.0.2); capabilities, seccomp and cgroups are read from the running init.
    argv[0] is searched in the PATH of `env`.
    """
    options: list[str] = []
    environment: dict[str, str] = {}
    for name, value in env.items():
        if is_host_name(name):
            options += ["--set-var", f"{name}={value}"]
        else:
            options += ["--keep-var", name]
            environment[name] = value
    return [
        "lxc-attach", "-P", containers_dir, "-n", key, "-f", os.devnull,
        "-u", str(uid), "-g", str(gid), "--clear-env", *options, "--", *argv,
    ], environment  # fmt: skip


def is_running_socket(key: str, containers_dir: str) -> bool:
    """Whether a monitor of LXC listens for this container, by the sockets of /proc/net/unix."""
    name = _socket_name(os.fsencode(containers_dir), os.fsencode(key))
    with open("/proc/net/unix", "rb") as file:
        return b" @" + name + b"\n" in file.read()


def _socket_name(containers_dir: bytes, key: bytes) -> bytes:
    """The abstract socket of LXC's commands: a long name is hashed (LXC 5.0, commands_utils.c)."""
    base = containers_dir + b"/" + key
    name = base + b"/command"
    if len(name) <= SOCKET_NAME_BYTES:
        return name
    digest = _FNV_OFFSET
    for byte in base:
        digest = (digest ^ byte) * _FNV_PRIME & 0xFFFFFFFFFFFFFFFF
    return b"lxc/%016x/command" % digest


def sweep_cgroups(key: str) -> None:
    """Remove the cgroups that a killed monitor left; one that is not empty stays.

    LXC adds -1, -2 ... to the names while the plain ones exist.
    """
    for root in kernel.cgroup_roots():
        with suppress(FileNotFoundError):
            for name in os.listdir(root):
                if _is_cgroup_of(name, key):
                    _remove_tree(f"{root}/{name}")


def _is_cgroup_of(name: str, key: str) -> bool:
    for prefix in ("lxc.payload.", "lxc.monitor."):
        own, suffix = f"{prefix}{key}", name.removeprefix(f"{prefix}{key}")
        if name == own or (name.startswith(f"{own}-") and suffix[1:].isdigit()):
            return True
    return False


def _remove_tree(path: str) -> None:
    """rmdir(2) from the bottom up: the files of a cgroup are no obstacle, its processes are."""
    for directory, _, _ in os.walk(path, topdown=False):
        with suppress(OSError):
            os.rmdir(directory)


def explain(log: str) -> tuple[int, str]:
    """The exit code and the reason of a failed start, from LXC's log at level DEBUG.

    126 and 127 when the command of the payload is at fault, as docker and podman have them.
    """
    lines = [words for words in map(_error, log.splitlines()) if words]
    for words in lines:
        errno, marker, command = words.partition(" - Failed to exec ")
        if marker:
            return _exec_failure(errno, command)
    telling = [words for words in lines if not words.startswith(_EMPTY_WORDS)]
    if not telling:
        return EXIT_FAILURE, lines[0] if lines else "LXC gave no reason"
    reason, *others = map(_for_people, telling)
    if reason.startswith("Script exited"):
        reason = _hook_failure(reason, others, log)
    for other in others:
        line = other.partition("Failed to parse config file")[2].partition(" at line ")[2]
        reason += f" in line {line}" if line else ""
    return EXIT_FAILURE, reason


def _exec_failure(errno: str, command: str) -> tuple[int, str]:
    code = EXIT_NOT_FOUND if errno.startswith("No such file") else EXIT_NOT_EXECUTABLE
    return code, f"exec {command}: {errno[:1].lower()}{errno[1:]}"


def _hook_failure(reason: str, others: list[str], log: str) -> str:
    """What the last hook said, which LXC logs at DEBUG, or at least which hook it was."""
    said = [line.partition(" produced output: ")[2] for line in log.splitlines()]
    words = next((line for line in reversed(said) if line), reason)
    which = others[0] if others else "a hook failed"
    return f"{'mounting the root' if 'pre-mount' in which else which}: {words}"


def _error(line: str) -> str | None:
    """The words of an ERROR line.

    `lxc-start KEY 20260102030405.678 ERROR    start - ../src/lxc/start.c:start:2197 - WORDS`.
    """
    head, _, words = line.partition(" - ")
    if head.split()[-2:-1] != ["ERROR"]:
        return None
    return words.partition(" - ")[2] or None


def _for_people(words: str) -> str:
    """`REASON - WHAT "/usr/lib/.../lxc/rootfs/PATH"` as `WHAT "/PATH": REASON`."""
    reason, dash, what = words.partition(" - ")
    if dash:
        words = f"{what}: {reason[:1].lower()}{reason[1:]}"
    before, root, after = words.partition(_ROOT)
    if root:
        words = before[: max(before.rfind('"'), before.rfind(" ")) + 1] + after
    return words
