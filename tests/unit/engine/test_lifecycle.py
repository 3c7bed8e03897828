import signal

import pytest

from lxcpy.engine.lifecycle import signal_number
from lxcpy.errors import LxcpyError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9", 9),
        ("KILL", 9),
        ("SIGKILL", 9),
        ("sigterm", 15),
        ("hup", 1),
        ("64", 64),
        ("RTMIN", signal.SIGRTMIN),
        ("SIGRTMIN+3", signal.SIGRTMIN + 3),
        ("RTMAX", 64),
    ],
)
def test_signals(text: str, expected: int) -> None:
    assert expected == signal_number(text)


@pytest.mark.parametrize(
    "text",
    ["", "SIG", "0", "65", "-1", "9" * 5000, "NONE", "_DFL", "_BLOCK", "RTMIN+", "RTMIN+99",
     "RTMIN+" + "9" * 5000, "TERM+3", "9+1", "KILL+x", "\udcff", "\u0661"],
)  # fmt: skip
def test_what_is_no_signal_is_refused(text: str) -> None:
    with pytest.raises(LxcpyError, match="unknown signal"):
        signal_number(text)
