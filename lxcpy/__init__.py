"""Containers on a plain LXC host, without a daemon.

    import lxcpy
    host = lxcpy.Host()
    container = host.run("busybox", ["id"])
    container.wait()
    print(container.logs().decode())

Everything here loads at its first use: the command line shares this package.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxcpy.errors import (
        CommandError,
        InUseError,
        LxcpyError,
        NotFoundError,
        StartError,
    )
    from lxcpy.library import Container, Host, Image
    from lxcpy.model import Change, ChangeKind, ContainerSpec, State, Status

__version__ = "0.1.0"
__all__ = [
    "Change", "ChangeKind", "CommandError", "Container", "ContainerSpec", "Host", "Image",
    "InUseError", "LxcpyError", "NotFoundError", "StartError", "State", "Status", "__version__",
]  # fmt: skip

_HOMES = {
    "lxcpy.errors": ("CommandError", "InUseError", "LxcpyError", "NotFoundError", "StartError"),
    "lxcpy.library": ("Container", "Host", "Image"),
    "lxcpy.model": ("Change", "ChangeKind", "ContainerSpec", "State", "Status"),
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'lxcpy' has no attribute {name!r}")
