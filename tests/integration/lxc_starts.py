"""Real containers of a busybox root, started by lxc-start with a rendered configuration."""

import dataclasses
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lxcpy import kernel, paths
from lxcpy.lxc import tools
from lxcpy.lxc.config import Bind, Config, Network, render, render_mount_script
from lxcpy.model import Mount

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
APPLETS = ("cat", "grep", "hostname", "id", "ls", "nc", "ping", "sh", "sleep", "true", "unshare")
TIMEOUT_S = 30
Started = subprocess.CompletedProcess[bytes]


def make_root(directory: Path) -> None:
    (directory / "bin").mkdir(parents=True)
    for name in ("proc", "sys", "dev", "etc", "tmp"):
        (directory / name).mkdir()
    shutil.copy("/usr/bin/busybox", directory / "bin/busybox")
    for applet in APPLETS:
        (directory / "bin" / applet).symlink_to("busybox")


class Starts:
    """Places of the containers of one test below `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.containers = str(directory / "containers")
        make_root(directory / "root")

    def config(self, *, network: Network | None = None) -> Config:
        key = secrets.token_hex(6)
        return Config(
            key=key,
            title=key,
            hostname="box",
            rootfs=f"{self.containers}/{key}/rootfs",
            mount_script=f"{self.containers}/{key}/mount.sh",
            network=network or Network("none"),
            cgroup_version=2 if kernel.is_cgroup2() else 1,
            seccomp_profile=paths.template("seccomp.policy"),
        )

    def adapt(self, config: Config) -> Config:
        """The configuration of a golden file, moved to places that exist."""
        here = self.config()
        return dataclasses.replace(
            config,
            key=here.key,
            rootfs=here.rootfs,
            mount_script=here.mount_script,
            seccomp_profile=here.seccomp_profile,
            workdir="/tmp",
            binds=tuple(self._adapted(config)),
        )

    def _adapted(self, config: Config) -> Iterator[Bind]:
        for bind in config.binds:
            source = self.directory / os.path.basename(bind.source)
            if bind.directory:
                source.mkdir()
            else:
                source.touch()
            yield dataclasses.replace(bind, source=str(source))

    def argv(self, config: Config, argv: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """Write what lxc-start reads; its command line and environment."""
        directory = os.path.dirname(config.mount_script)
        os.makedirs(config.rootfs)
        mount = Mount(
            str(self.directory), (("mount", "--bind", str(self.directory / "root"), config.rootfs),)
        )
        script = render_mount_script(config.title, mount, config.rootfs)
        Path(config.mount_script).write_text(script)
        rendered = render(config)
        Path(f"{directory}/config").write_bytes(os.fsencode(rendered.text))
        command = tools.start_argv(config.key, self.containers, options=rendered.options, argv=argv)
        command[command.index("/dev/fd/3")] = self.log(config)
        return command, {**ENVIRONMENT, **rendered.environment}

    def run(self, config: Config, *argv: str) -> Started:
        """Run a container to its end; its status is lxc-start's, which is 0 once it ran."""
        command, environment = self.argv(config, argv)
        return subprocess.run(
            command, check=False, capture_output=True, env=environment, timeout=TIMEOUT_S
        )

    @contextmanager
    def running(self, config: Config, *argv: str) -> Iterator[None]:
        """A container while it runs; it is killed at the end."""
        command, environment = self.argv(config, argv)
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
        try:
            end = time.monotonic() + TIMEOUT_S
            while b"Started" not in self.said(config) and time.monotonic() < end:
                time.sleep(0.01)
            yield
        finally:
            subprocess.run(
                ["lxc-stop", "-k", "-P", self.containers, "-n", config.key],
                check=False,
                timeout=TIMEOUT_S,
            )
            process.wait(TIMEOUT_S)

    def log(self, config: Config) -> str:
        return f"{os.path.dirname(config.mount_script)}/lxc.log"

    def said(self, config: Config) -> bytes:
        log = Path(self.log(config))
        return log.read_bytes() if log.exists() else b""
