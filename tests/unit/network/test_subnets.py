import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxcpy.errors import LxcpyError
from lxcpy.network import subnets
from lxcpy.network.addresses import to_number

FIB = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.77.0.0/16 2 0 2
        |-- 10.77.0.0
           /16 link UNICAST
        |-- 10.77.3.4
           /32 host LOCAL
"""
HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"


def field(address: str) -> str:
    return f"{int.from_bytes(to_number(address).to_bytes(4), sys.byteorder):08X}"


def route(destination: str, mask: str) -> str:
    return f"eth0\t{field(destination)}\t00000000\t0001\t0\t0\t0\t{field(mask)}\t0\t0\t0\n"


def use(monkeypatch: pytest.MonkeyPatch, **files: str) -> None:
    texts = {"/proc/net/route": HEAD + files.get("route", "")}
    texts["/etc/resolv.conf"] = files.get("resolv", "")
    texts["/proc/net/fib_trie"] = files.get("fib", "")
    monkeypatch.setattr(subnets, "_read", texts.__getitem__)


def test_first_candidate_of_an_empty_host(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, route=route("0.0.0.0", "0.0.0.0"))
    assert subnets.CANDIDATES[0] == subnets.choose_subnet()


@pytest.mark.parametrize(
    "files",
    [
        {"route": route("10.77.8.0", "255.255.255.0")},
        {"route": route("10.64.0.0", "255.192.0.0")},
        {"fib": FIB},
        {"resolv": "nameserver ::1\nnameserver 10.77.255.53\n"},
    ],
)
def test_what_the_host_uses_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    use(monkeypatch, **files)
    assert subnets.choose_subnet() not in (None, subnets.CANDIDATES[0])
    with pytest.raises(LxcpyError, match="overlaps"):
        subnets.check("10.77.0.0/16")


def test_all_candidates_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, route=route("10.0.0.0", "255.0.0.0") + route("172.16.0.0", "255.240.0.0"))
    with pytest.raises(LxcpyError, match="no subnet is free"):
        subnets.choose_subnet()


def test_chosen_by_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)
    assert subnets.check("10.1.2.0/24") == "10.1.2.0/24"
    with pytest.raises(LxcpyError, match="is no subnet"):
        subnets.check("10.1.2.0")


@given(st.text("abc0189.:| -/LOCALhost\n\t"))
def test_strange_files_do_no_harm(text: str) -> None:
    list(subnets.name_servers(text))
    list(subnets.name_servers(f"nameserver {text}"))
