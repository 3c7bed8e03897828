"""Mounts of a test in a mount namespace of one thread, which ends with it."""

import ctypes
import os
from collections.abc import Callable
from threading import Thread

CLONE_NEWNS = 0x00020000
MS_PRIVATE_RECURSIVE = (1 << 18) | (1 << 14)

libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def mount_tmpfs(target: str) -> None:
    _check(libc.mount(b"none", os.fsencode(target), b"tmpfs", 0, None))


def run_privately(function: Callable[[], None]) -> None:
    """Run a function, and the programs it starts, without a trace in the host's mount table.

    unshare(2) moves the calling thread alone, and its namespace dies with it.
    """
    raised: list[BaseException] = []

    def body() -> None:
        try:
            _check(libc.unshare(CLONE_NEWNS))
            _check(libc.mount(b"none", b"/", None, MS_PRIVATE_RECURSIVE, None))
            function()
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            raised.append(error)

    thread = Thread(target=body)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
