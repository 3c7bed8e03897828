"""Every file and directory name, once."""

import os
from dataclasses import dataclass

from lxcpy.errors import LxcpyError

DEFAULT_ROOT = "/var/lib/lxcpy"
DEFAULT_RUNROOT = "/run/lxcpy"
ADMIN_TEMPLATES = "/etc/lxcpy/templates"
PACKAGE = os.path.dirname(os.path.abspath(__file__))


@dataclass(frozen=True)
class Paths:
    """The places of one lxcpy: `root` survives a reboot, `runroot` does not."""

    root: str
    runroot: str

    @property
    def storage(self) -> str:
        return f"{self.root}/storage.json"

    @property
    def layers(self) -> str:
        return f"{self.root}/layers"

    @property
    def images(self) -> str:
        return f"{self.root}/images"

    @property
    def containers(self) -> str:
        return f"{self.root}/containers"

    @property
    def names(self) -> str:
        return f"{self.root}/names"

    @property
    def networks(self) -> str:
        return f"{self.root}/networks"

    @property
    def scratch(self) -> str:
        """Unfinished work: whatever lies here is nobody's and may be deleted under its lock."""
        return f"{self.root}/scratch"

    @property
    def cache(self) -> str:
        """What can be made again at any time: compiled templates."""
        return f"{self.root}/cache"

    @property
    def locks(self) -> str:
        return f"{self.runroot}/locks"

    @property
    def leases(self) -> str:
        return f"{self.runroot}/leases"

    def container(self, key: str) -> str:
        return f"{self.containers}/{key}"

    def run(self, key: str) -> str:
        """The directory of a running container: its monitor's record and its attach socket."""
        return f"{self.runroot}/containers/{key}"


def prepare(paths: Paths) -> None:
    """Make the fixed directories, private to root: layers hold set-uid programs of strangers."""
    if os.path.isdir(paths.leases) and os.path.isdir(paths.scratch):
        return  # the last ones of each root
    made = (
        paths.layers, paths.images, paths.containers, paths.names, paths.networks, paths.cache,
        paths.scratch, f"{paths.runroot}/containers", paths.locks, paths.leases,
    )  # fmt: skip
    for directory in (paths.root, paths.runroot, *made):
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
        except OSError as error:
            raise LxcpyError(
                f"cannot make directory {directory}: {error.strerror}",
                hint="lxcpy needs root, or a --root and --runroot that you can write",
            ) from error


def template(name: str) -> str:
    """The path of a template: the admin's own copy in /etc/lxcpy/templates wins.

    A wheel holds the templates inside the package, a checkout beside it.
    """
    for directory in (ADMIN_TEMPLATES, f"{PACKAGE}/templates", f"{PACKAGE}/../templates"):
        candidate = os.path.join(directory, name)
        if os.path.exists(candidate):
            return os.path.normpath(candidate)
    raise LxcpyError(f"template {name} is missing", hint="reinstall lxcpy")


def monitor_program() -> str:
    """The supervisor's source file: run by name, never imported."""
    return f"{PACKAGE}/monitor.py"


def init_program() -> str:
    """The static program that gives a payload its terminal and working directory."""
    machine = os.uname().machine
    program = f"{PACKAGE}/init/lxcpy-init-{machine}"
    if not os.path.exists(program):
        raise LxcpyError(f"lxcpy has no init program for {machine}", hint="-t and exec -w need it")
    return program
