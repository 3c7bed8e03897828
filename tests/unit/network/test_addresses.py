import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxcpy.errors import LxcpyError
from lxcpy.network import addresses

numbers = st.integers(0, 2**32 - 1)
SUBNET = "10.9.0.0/29"  # gateway .1, containers .2 to .6, broadcast .7


def alive(_: str) -> bool:
    return True


def claim(leases: Path, owner: str = "k", preferred: str | None = None) -> str:
    return addresses.claim(str(leases), SUBNET, owner=owner, preferred=preferred, is_alive=alive)


@given(numbers)
def test_numbers_and_text(number: int) -> None:
    text = addresses.to_text(number)
    assert str(ipaddress.IPv4Address(number)) == text
    assert number == addresses.to_number(text)


@given(st.one_of(st.text("0123456789./x ", max_size=18), st.text(max_size=18)))
def test_text_that_is_no_address(text: str) -> None:
    try:
        expected = int(ipaddress.IPv4Address(text))
    except ValueError:
        return  # ours takes leading zeros as decimal, as ip(8) does
    assert expected == addresses.to_number(text)


@pytest.mark.parametrize("bad", ["", "1.2.3", "1.2.3.256", "1.2.3.4.5", "a.b.c.d", "1.2.3.-4", "²"])
def test_address_that_is_refused(bad: str) -> None:
    with pytest.raises(LxcpyError, match="is no IPv4 address"):
        addresses.to_number(bad)


@given(numbers, st.integers(8, 30))
def test_arithmetic_of_subnets(number: int, length: int) -> None:
    network = ipaddress.IPv4Network((number, length), strict=False)
    assert str(network.broadcast_address) == addresses.broadcast(str(network))
    assert str(network.network_address + 1) == addresses.gateway(str(network))


@pytest.mark.parametrize(
    "bad", ["10.0.0.0", "10.0.0.0/", "10.0.0.0/31", "10.0.0.0/7", "10.0.0.1/8"]
)
def test_subnet_that_is_refused(bad: str) -> None:
    with pytest.raises(LxcpyError, match="is no subnet"):
        addresses.parse_subnet(bad)


def test_hardware_address_and_cable() -> None:
    assert addresses.mac("10.77.1.255") == "02:42:0a:4d:01:ff"
    assert addresses.veth_name("0123456789abcdef") == "vl0123456789ab"


def test_addresses_go_round(tmp_path: Path) -> None:
    first = [claim(tmp_path) for _ in range(3)]
    assert first == ["10.9.0.2", "10.9.0.3", "10.9.0.4"]
    addresses.release(str(tmp_path), "10.9.0.2", "k")
    assert [claim(tmp_path) for _ in range(3)] == ["10.9.0.5", "10.9.0.6", "10.9.0.2"]


def test_exhausted(tmp_path: Path) -> None:
    for _ in range(5):
        claim(tmp_path)
    with pytest.raises(LxcpyError, match=r"no address is free in subnet 10\.9\.0\.0/29"):
        claim(tmp_path)


def test_leases_of_the_dead_are_reclaimed_at_need(tmp_path: Path) -> None:
    for owner in "abcde":
        claim(tmp_path, owner)
    asked: list[str] = []

    def is_alive(owner: str) -> bool:
        asked.append(owner)
        return owner not in "bd"

    def again() -> str:
        return addresses.claim(
            str(tmp_path), SUBNET, owner="new", preferred=None, is_alive=is_alive
        )

    assert again() == "10.9.0.3"
    assert asked == list("abcde")
    assert again() == "10.9.0.5"
    assert asked == list("abcde")


def test_lease_that_was_never_written_is_nobodys(tmp_path: Path) -> None:
    for number in range(2, 7):
        (tmp_path / f"10.9.0.{number}").write_text("x" if number != 4 else "")
    taken = addresses.claim(str(tmp_path), SUBNET, owner="k", preferred=None, is_alive=bool)
    assert taken == "10.9.0.4"


@pytest.mark.parametrize("preferred", ["10.9.0.5", "10.9.0.6"])
def test_preferred_address(tmp_path: Path, preferred: str) -> None:
    assert preferred == claim(tmp_path, preferred=preferred)
    assert preferred == claim(tmp_path, preferred=preferred)  # its own lease


def test_preferred_address_of_another(tmp_path: Path) -> None:
    claim(tmp_path, "other", preferred="10.9.0.5")
    assert claim(tmp_path, preferred="10.9.0.5") == "10.9.0.2"
    dead = addresses.claim(
        str(tmp_path), SUBNET, owner="k", preferred="10.9.0.5", is_alive=lambda _: False
    )
    assert dead == "10.9.0.5"


@pytest.mark.parametrize("preferred", ["10.9.0.0", "10.9.0.1", "10.9.0.7", "10.10.0.2"])
def test_preferred_address_that_is_none_of_the_containers(tmp_path: Path, preferred: str) -> None:
    assert claim(tmp_path, preferred=preferred) == "10.9.0.2"


@pytest.mark.parametrize("last", ["", "junk", "10.8.0.1", "10.9.0.6", "10.9.0.7"])
def test_last_address_that_does_not_help(tmp_path: Path, last: str) -> None:
    (tmp_path / addresses.LAST).write_text(last)
    assert claim(tmp_path) == "10.9.0.2"


def test_release_leaves_what_is_anothers(tmp_path: Path) -> None:
    address = claim(tmp_path, "a")
    addresses.release(str(tmp_path), address, "b")
    assert (tmp_path / address).exists()
    addresses.release(str(tmp_path), address, "a")
    addresses.release(str(tmp_path), address, "a")
    assert not (tmp_path / address).exists()
