import pytest

from lxcpy.errors import LxcpyError
from lxcpy.network import bridge


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "a/b", "a-b", "é", "x" * 16, 'a"; flush'])
def test_name_that_is_none(name: str) -> None:
    with pytest.raises(LxcpyError, match="is no name for a bridge"):
        bridge.ensure_bridge(name, "10.213.0.0/16", table="lxcpy_test")
