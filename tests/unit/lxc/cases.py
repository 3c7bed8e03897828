"""Configurations and mount scripts with golden files; `python -m tests.unit.lxc.cases` writes them.

Every feature is in one of them, and the integration tests start all of them with the real LXC.
"""

import os

from lxcpy import templates
from lxcpy.lxc.config import Bind, Config, Network, render, render_mount_script
from lxcpy.model import Mount

GOLDEN = f"{os.path.dirname(os.path.abspath(__file__))}/../../golden/lxc"
DIRECTORY = "/var/lib/lxcpy/containers/0123456789ab"
NO_NETWORK = Network("none")
VETH = Network(
    "veth",
    bridge="lxcpy0",
    veth="vl0123456789ab",
    address="10.77.0.2/16",
    broadcast="10.77.255.255",
    gateway="10.77.0.1",
    mac="02:42:0a:4d:00:02",
    mtu=1400,
)


def make(*, network: Network = NO_NETWORK, cgroup_version: int = 1) -> Config:
    return Config(
        key="0123456789ab",
        title="web",
        hostname="web",
        rootfs=f"{DIRECTORY}/rootfs",
        mount_script=f"{DIRECTORY}/mount.sh",
        network=network,
        cgroup_version=2 if cgroup_version == 2 else 1,
    )


FULL = Config(
    key="0123456789ab",
    title="everything's on",
    hostname="full",
    rootfs="/srv/a b's/rootfs ",
    mount_script="/srv/a b's/mount.sh",
    network=VETH,
    cgroup_version=1,
    halt_signal="SIGINT",
    env=(
        ("PATH", "/bin"), ("A", "old"), ("EMPTY", ""), ("BLANKS", "  x  "), ("QUOTES", "'\"x\"'"),
        ("A", "new=#\\$"), ("TAB", "\tx\t"), ("LD_PRELOAD", "/evil.so"),
        ("PEM", "one\ntwo\r\n"), ("LD_AUDIT", "\n"),
    ),
    uid=1000,
    gid=1001,
    groups=(4, 24),
    workdir="/tmp ",
    caps=("chown", "kill"),
    seccomp_profile="/usr/lib/lxcpy/seccomp.policy",
    pids_limit=100,
    shm_size=1 << 20,
    binds=(
        Bind("/srv/a b\t\\#'\"/hosts", "/etc/hosts", readonly=False, directory=False),
        Bind("/srv/data", "/data dir", readonly=True, directory=True),
    ),
    extra=(("lxc.prlimit.nofile", "512"), ("lxc.hook.post-stop", "/bin/true")),
)  # fmt: skip

CONFIGS = {
    "default": make(),
    "veth": make(network=VETH),
    "host": make(network=Network("host")),
    "cgroup2": make(cgroup_version=2),
    "full": FULL,
}

ROOTFS = f"{DIRECTORY}/rootfs"
MOUNTS = {
    "overlay": Mount(
        "/var/lib/lxcpy/layers",
        (("mount", "-t", "overlay", "-o", "lowerdir=a/fs:b/fs,upperdir=u", "overlay", ROOTFS),),
    ),
    "several": Mount(
        "/srv/it's here",
        (
            ("mount", "-t", "aufs", "-o", "br:u=rw:a=ro+wh", "none", ROOTFS),
            ("mount", "-o", "remount,append:$(b) `c`=ro+wh", ROOTFS),
        ),
    ),
}


def mount_script(name: str, *, cache_dir: str | None = None) -> str:
    return render_mount_script("web", MOUNTS[name], ROOTFS, cache_dir=cache_dir)


def firewall(*, cache_dir: str | None = None) -> str:
    variables = {"bridge": "lxcpy0", "subnet": "10.77.0.0/16", "table": "lxcpy"}
    return templates.render("nftables.j2", variables, cache_dir=cache_dir)


def rendered(*, cache_dir: str | None = None) -> dict[str, str]:
    """The text of every golden file, by its name."""
    configs = {
        f"{name}.conf": render(config, cache_dir=cache_dir).text for name, config in CONFIGS.items()
    }
    scripts = {f"{name}.sh": mount_script(name, cache_dir=cache_dir) for name in MOUNTS}
    return {**configs, **scripts, "lxcpy0.nft": firewall(cache_dir=cache_dir)}


if __name__ == "__main__":
    for name, text in rendered().items():
        with open(f"{GOLDEN}/{name}", "w", encoding="utf-8", newline="") as file:
            file.write(text)
