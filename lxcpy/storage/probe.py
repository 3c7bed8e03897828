"""Whether a mount works here: tried for real, in a mount namespace that ends with the attempt."""

import os

from lxcpy.errors import CommandError, LxcpyError
from lxcpy.model import BranchFormat, Driver


def probe(driver: Driver, scratch: str) -> str | None:
    """Mount two layers and a writable branch in `scratch`; one line why it fails, else None."""
    import shutil

    top = f"{scratch}/probe"
    layers = [f"{top}/{name}/fs" for name in ("b", "a")]
    upper, work, target = (f"{top}/{name}" for name in ("upper", "work", "rootfs"))
    try:
        for directory in (*layers, target):
            os.makedirs(directory)
        driver.prepare(layers, upper, work)
        return _mark(driver, layers[0]) or _mount(driver, layers, upper, work, target)
    except OSError as error:
        return f"{error.filename or scratch}: {error.strerror}"
    except LxcpyError as error:
        return error.message
    finally:
        shutil.rmtree(top, ignore_errors=True)


def _mark(branch: BranchFormat, directory: str) -> str | None:
    """Whether the file system can hold the marks of deletions: NFS has no trusted xattrs."""
    try:
        branch.make_whiteout(directory, "gone")
        branch.make_opaque(directory)
    except LxcpyError as error:
        return error.message
    return None


def _mount(driver: Driver, layers: list[str], upper: str, work: str, target: str) -> str | None:
    from lxcpy import shell

    mount = driver.mount(layers, upper, work, target)
    unshare = ("unshare", "--mount", "--propagation", "private", "--")
    try:
        shell.run((*unshare, *mount.commands[0]), cwd=mount.cwd)
    except CommandError as error:
        return _reason(driver.name, error, target)
    return None


def _reason(name: str, error: CommandError, target: str) -> str:
    from lxcpy import kernel

    if os.geteuid() != 0:
        return "it needs root"
    if name != "copy" and name not in kernel.filesystems():
        return f"this kernel has no {name}"
    said = (error.stderr.strip().splitlines() or [error.message])[0]
    said = said.removeprefix(f"mount: {target}: ").rstrip(".")
    if said.startswith("wrong fs type"):  # mount(8)'s words for EINVAL
        return "the file system here cannot hold the writable branch (is it overlay, NFS or FUSE?)"
    return said
