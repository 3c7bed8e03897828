"""Unit tests start no program, unless they are marked with `allow_programs`."""

import os
import subprocess
from typing import NoReturn

import pytest


class UnexpectedProgram(BaseException):
    """Not an Exception: no handler of the code under test may swallow it."""


def _refuse(*words: object, **_options: object) -> NoReturn:
    raise UnexpectedProgram(f"a unit test started a program: {words}")


def _refuse_popen(_self: object, *words: object, **_options: object) -> NoReturn:
    _refuse(*words)  # a Popen that is not initialised has no repr


@pytest.fixture(autouse=True)
def _no_programs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("allow_programs"):
        return
    for name in ("posix_spawn", "posix_spawnp", "execv", "execve"):
        monkeypatch.setattr(os, name, _refuse)
    monkeypatch.setattr(subprocess.Popen, "__init__", _refuse_popen)
