"""The LXC configuration of a container: what it says, rendered from templates/lxc.conf.j2.

The grammar is that of LXC 5.0 (lxc.container.conf(5)): one `key = value` per line, a pair of
quotes around a value keeps its blanks, nothing escapes a line end.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from lxcpy import templates
from lxcpy.errors import LxcpyError
from lxcpy.model import Mount

# The 14 capabilities of docker's default container (capabilities(7)).
DEFAULT_CAPABILITIES = (
    "audit_write", "chown", "dac_override", "fowner", "fsetid", "kill", "mknod", "net_bind_service",
    "net_raw", "setfcap", "setgid", "setpcap", "setuid", "sys_chroot",
)  # fmt: skip
# docker's device rules: every node may be made, these may be used. In the order of the list: null,
# zero, full, random, urandom, tty, console, ptmx, pts, tun.
DEFAULT_DEVICES = (
    "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm",
    "c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm", "c 10:200 rwm",
)  # fmt: skip
DEFAULT_PIDS_LIMIT = 2048  # podman's
DEFAULT_SHM_BYTES = 64 << 20

# docker's masked and read-only paths.
MASKED_FILES = (
    "proc/kcore", "proc/keys", "proc/latency_stats", "proc/timer_list", "proc/timer_stats",
    "proc/sched_debug",
)  # fmt: skip
MASKED_DIRECTORIES = (
    "proc/acpi", "proc/asound", "proc/scsi", "sys/firmware", "sys/devices/virtual/powercap",
)  # fmt: skip
# proc/sys is read-only by proc:mixed, which leaves proc/sys/net alone only with net_admin.
READONLY_PATHS = ("proc/bus", "proc/fs", "proc/irq", "proc/sysrq-trigger")

# Keys that lxcpy's own promises rest on. lxc.hook alone clears all hooks, and with them the mount.
OWNED_KEYS = frozenset({
    "lxc.console.buffer.size", "lxc.console.logfile", "lxc.console.path", "lxc.ephemeral",
    "lxc.hook", "lxc.hook.pre-mount", "lxc.hook.version", "lxc.include", "lxc.init.cmd",
    "lxc.execute.cmd", "lxc.log.file", "lxc.log.level", "lxc.log.syslog", "lxc.monitor.unshare",
    "lxc.rootfs.managed", "lxc.rootfs.path", "lxc.uts.name",
})  # fmt: skip
KEY_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")

# Names that the loader, libc, the shell or mount(8) obey. LXC 5.0.2 gives lxc.environment to the
# pre-mount hook too, which runs as root with the host's files in sight: LD_PRELOAD of an image
# would run a stranger's code on the host. They travel under another name, see `CARRIED`.
_HOST_NAMES = frozenset({
    "BASHOPTS", "BASH_ENV", "ENV", "GCONV_PATH", "GETCONF_DIR", "GLIBC_TUNABLES", "LANGUAGE",
    "LOCPATH", "NLSPATH", "PS4", "SHELLOPTS",
})  # fmt: skip
_HOST_PREFIXES = ("BASH_FUNC_", "LD_", "LIBMOUNT_", "LIBSECCOMP_", "LXC_", "MALLOC_")
CARRIED = "LXCPY_ENV_"  # lxcpy-init takes it off again, inside the container


@dataclass(frozen=True)
class Bind:
    """A file or directory of the host inside a container."""

    source: str
    target: str  # absolute, inside the container, without symbolic links: LXC would follow them
    readonly: bool
    directory: bool

    @property
    def inside(self) -> str:
        return self.target.lstrip("/")  # LXC 5.0.2 ignores an absolute target with a warning

    @property
    def options(self) -> str:
        kind = "rbind" if self.directory else "bind"
        made = "dir" if self.directory else "file"
        return f"{kind}{',ro' if self.readonly else ''},create={made}"


@dataclass(frozen=True)
class Network:
    """The network of a container; all but `kind` is for veth."""

    kind: str  # none, host or veth
    bridge: str = ""
    veth: str = ""  # the host's end, at most 15 characters
    address: str = ""  # IPv4/length
    broadcast: str = ""  # LXC 5.0.2 computes 0.0.0.255 for a /24 itself
    gateway: str = ""
    mac: str = ""
    mtu: int = 0  # 0: the kernel's


@dataclass(frozen=True)
class Config:
    """All that a configuration says; paths are absolute, on the host."""

    key: str  # the LXC name
    title: str  # for the comment at the top: the container's name or id
    hostname: str
    rootfs: str  # the directory on which `mount_script` mounts
    mount_script: str
    network: Network
    cgroup_version: Literal[1, 2]
    halt_signal: str = "SIGTERM"
    env: tuple[tuple[str, str], ...] = ()  # later ones win
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    workdir: str = "/"
    caps: tuple[str, ...] = DEFAULT_CAPABILITIES
    seccomp_profile: str | None = None
    pids_limit: int | None = DEFAULT_PIDS_LIMIT
    devices: tuple[str, ...] = DEFAULT_DEVICES
    shm_size: int = DEFAULT_SHM_BYTES
    binds: tuple[Bind, ...] = ()
    extra: tuple[tuple[str, str], ...] = ()  # --lxc-conf


@dataclass(frozen=True)
class Rendered:
    """A configuration; write it with os.fsencode, since values may hold any bytes.

    `options` and `environment` are for lxc-start: they carry the environment of the container that
    no line can hold. `carries` tells that names begin with CARRIED, so that the payload must be
    started by lxcpy-init.
    """

    text: str
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    carries: bool = False


def render(config: Config, *, cache_dir: str | None = None) -> Rendered:
    """Render the configuration; LxcpyError names the key whose value no line can hold."""
    items: list[str] = []
    options: list[str] = []
    environment: dict[str, str] = {}
    env = dict(config.env)
    check_environment(f"{name}={value}" for name, value in config.env)
    carries = any(is_host_name(name) for name in env)
    for name, value in env.items():
        name = CARRIED + name if is_host_name(name) else name
        if not _breaks_line(name + value):
            items.append(f"{name}={value}")
        elif name == "PATH":  # lxc-start and its hooks would search it: ps may show it instead
            options += ["-s", f'lxc.environment="{name}={value}"']
        else:  # without a value LXC copies its own
            options += ["-s", f'lxc.environment="{name}"']
            environment[name] = value
    variables = {
        **vars(config),
        "env": items,
        "caps": " ".join(config.caps) or "none",
        "groups": ",".join(map(str, config.groups)),
        "cgroup": "lxc.cgroup2" if config.cgroup_version == 2 else "lxc.cgroup",
        "masked_files": MASKED_FILES,
        "masked_directories": MASKED_DIRECTORIES,
        "readonly_paths": READONLY_PATHS,
    }
    text = templates.render("lxc.conf.j2", variables, cache_dir=cache_dir)
    return Rendered(text, tuple(options), environment, carries)


def check_environment(items: Iterable[str]) -> None:
    """LxcpyError for an item that is no NAME=VALUE, or that no environment can hold."""
    for item in items:
        name, equals, _ = item.partition("=")
        if not name or not equals or "\0" in item:
            raise LxcpyError(
                f"cannot set environment variable {item!r}: it is no NAME=VALUE, or has a NUL in it"
            )


def _breaks_line(text: str) -> bool:
    return "\n" in text or "\r" in text


def is_host_name(name: str) -> bool:
    """Whether a program of the host would obey an environment variable of that name."""
    return name in _HOST_NAMES or name.startswith(_HOST_PREFIXES)


def render_mount_script(
    title: str, mount: Mount, target: str, *, cache_dir: str | None = None
) -> str:
    """The POSIX script that mounts on `target`, or on its first argument.

    Every argument of `mount.commands` that equals `target` becomes the script's variable.
    """
    *first, last = [_command(argv, target) for argv in mount.commands]
    variables = {
        "title": title, "cwd": mount.cwd, "target": target, "commands": [*first, f"exec {last}"],
    }  # fmt: skip
    return templates.render("mount.sh.j2", variables, cache_dir=cache_dir)


def _command(argv: tuple[str, ...], target: str) -> str:
    return " ".join('"$target"' if word == target else templates.shell_word(word) for word in argv)


def parse_lxc_conf(text: str) -> tuple[str, str]:
    """Read KEY=VALUE of --lxc-conf; LxcpyError for a key that is none, or is lxcpy's own."""
    key, equals, value = (part.strip(" \t") for part in text.partition("="))
    if not equals:
        raise LxcpyError(f"--lxc-conf {text!r}: no '='", hint="write it as lxc.KEY=VALUE")
    if not key.startswith("lxc.") or len(key) == 4 or not KEY_CHARACTERS.issuperset(key):
        raise LxcpyError(
            f"--lxc-conf {text!r}: {key!r} is no LXC key", hint="see man lxc.container.conf"
        )
    if key in OWNED_KEYS:
        raise LxcpyError(f"--lxc-conf {text!r}: {key} is lxcpy's own")
    if any(character in value for character in templates.FORBIDDEN):
        raise LxcpyError(f"--lxc-conf {key}: a value cannot have a line end or a NUL in it")
    return key, value


def read_config(text: str) -> list[tuple[str, str]]:
    """The keys and values of a configuration, as LXC reads them; other lines are skipped.

    LXC cuts a line at a carriage return; here it ends one, so that nothing hides behind it.
    """
    return list(_read_lines(text.replace("\r", "\n").split("\n")))


def _read_lines(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        key, equals, value = (part.strip(" \t") for part in line.partition("="))
        if not key.startswith("lxc.") or not equals:
            continue
        if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]:
            value = value[1:-1]
        yield key, value
