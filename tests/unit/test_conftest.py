import os
import subprocess

import pytest

from lxcpy import shell
from tests.unit.conftest import UnexpectedProgram


def test_a_unit_test_cannot_start_a_program() -> None:
    with pytest.raises(UnexpectedProgram):
        shell.status(["true"])
    with pytest.raises(UnexpectedProgram):
        subprocess.run(["true"], check=False)
    with pytest.raises(UnexpectedProgram):
        os.execve("/bin/true", ["true"], {})


@pytest.mark.allow_programs
def test_unless_it_is_marked() -> None:
    assert shell.status(["true"]) == 0
