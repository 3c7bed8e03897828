"""The copy-on-write root: which union file system carries it, and how a branch looks on disk."""

from lxcpy.errors import LxcpyError
from lxcpy.model import Driver

DRIVERS = ("aufs", "overlay", "copy")  # in order of preference


def load(name: str) -> Driver:
    """The driver that a root was made with; imports that driver only."""
    match name:
        case "overlay":
            from lxcpy.storage.overlay import Overlay

            return Overlay()
        case "aufs":
            from lxcpy.storage.aufs import Aufs

            return Aufs()
        case "copy":
            from lxcpy.storage.copy import Copy

            return Copy()
    raise LxcpyError(
        f"there is no storage driver {name!r}", hint=f"the drivers are: {', '.join(DRIVERS)}"
    )


def choose(forced: str | None, probe_scratch: str) -> Driver:
    """The driver for a new root: the forced one, else the first whose real mount works.

    `probe_scratch` is an empty directory on the file system that will hold the layers. It is left
    empty. LxcpyError says why no driver, or not the forced one, is able.
    """
    if forced is not None:
        driver = load(forced)
        reason = driver.probe(probe_scratch)
        if reason is None:
            return driver
        raise LxcpyError(
            f"storage driver {forced} does not work here: {reason}",
            hint=f"choose another one ({', '.join(DRIVERS)}), or none to let lxcpy choose",
        )
    reasons = []
    for name in DRIVERS:
        driver = load(name)
        reason = driver.probe(probe_scratch)
        if reason is None:
            return driver
        reasons.append(f"{name}: {reason}")
    raise LxcpyError(
        f"no storage driver works on {probe_scratch}: {reasons[-1]}",
        hint="even plain copies need root and mount --bind; --debug shows every driver's reason",
        details="\n".join(reasons),
    )
