"""The host that a verb works on: its places and settings, built once and passed to every verb."""

import os
from dataclasses import dataclass
from functools import cached_property

from lxcpy import paths, state
from lxcpy.containers.store import ContainerStore
from lxcpy.errors import LxcpyError
from lxcpy.model import Driver

DEFAULT_BRIDGE = "lxcpy0"


@dataclass(frozen=True)
class Host:
    """One root of lxcpy on this machine.

    `bridge` and `subnet` are the default network's: the subnet is chosen at its first use when
    None. `storage_driver` forces a driver for a root that is used for the first time.
    """

    paths: paths.Paths
    bridge: str = DEFAULT_BRIDGE
    subnet: str | None = None
    storage_driver: str | None = None

    @cached_property
    def containers(self) -> ContainerStore:
        return ContainerStore(self.paths)

    @cached_property
    def driver(self) -> Driver:
        """The storage driver of this root, chosen by a real probe at its first use."""
        from lxcpy import storage

        record = state.read_record(self.paths.storage)
        if record is None:
            return self._choose_driver()
        name = record["driver"]
        if self.storage_driver not in (None, name):
            raise LxcpyError(
                f"{self.paths.root} uses the storage driver {name}, not {self.storage_driver}",
                hint="a root keeps its first driver: give another --root for another driver",
            )
        return storage.load(name)

    def _choose_driver(self) -> Driver:
        from lxcpy import storage

        with state.lock(f"{self.paths.locks}/storage", what="the choice of a storage driver"):
            if record := state.read_record(self.paths.storage):
                return storage.load(record["driver"])
            scratch = f"{self.paths.scratch}/probe-{os.getpid()}"
            os.mkdir(scratch)
            try:
                driver = storage.choose(self.storage_driver, scratch)
            finally:
                from lxcpy.containers.store import delete_tree

                delete_tree(scratch)
            state.write_record(self.paths.storage, {"driver": driver.name})
        return driver


def open_host(
    root: str | None = None,
    *,
    runroot: str | None = None,
    bridge: str | None = None,
    subnet: str | None = None,
    storage_driver: str | None = None,
) -> Host:
    """The host with what is given, else LXCPY_ROOT, LXCPY_RUNROOT, ..., else the defaults.

    Raises LxcpyError when the caller is not root: LXC's mounts, bridges and cgroups need it.
    """
    if os.geteuid() != 0:
        raise LxcpyError("lxcpy needs root", hint="run it with sudo")
    where = paths.Paths(
        os.path.abspath(root or os.environ.get("LXCPY_ROOT") or paths.DEFAULT_ROOT),
        os.path.abspath(runroot or os.environ.get("LXCPY_RUNROOT") or paths.DEFAULT_RUNROOT),
    )
    for place in (where.root, where.runroot):
        if any(character in place for character in "\n\r\0"):
            raise LxcpyError(f"the directory {place!r} has a line break in its name")
    paths.prepare(where)
    return Host(
        where,
        bridge=bridge or os.environ.get("LXCPY_BRIDGE") or DEFAULT_BRIDGE,
        subnet=subnet or os.environ.get("LXCPY_SUBNET") or None,
        storage_driver=storage_driver or os.environ.get("LXCPY_STORAGE_DRIVER") or None,
    )
