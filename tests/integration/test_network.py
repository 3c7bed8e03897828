"""Bridges, firewall tables and containers on them: each test has a bridge of its own."""

import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest

from lxcpy.errors import LxcpyError
from lxcpy.lxc.config import Network
from lxcpy.network import addresses, bridge, subnets
from lxcpy.network.netfilter import has_table
from tests.integration.lxc_starts import Starts

pytestmark = pytest.mark.requires_root


@dataclass(frozen=True)
class Bridge:
    name: str
    subnet: str

    @property
    def table(self) -> str:
        return f"lxcpy_{self.name}"

    def ensure(self) -> None:
        bridge.ensure_bridge(self.name, self.subnet, table=self.table)

    def network(self, address: str, key: str) -> Network:
        return Network(
            "veth",
            bridge=self.name,
            veth=addresses.veth_name(key),
            address=f"{address}/24",
            broadcast=addresses.broadcast(self.subnet),
            gateway=addresses.gateway(self.subnet),
            mac=addresses.mac(address),
        )


def said(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def lab() -> Iterator[Bridge]:
    with open(bridge.FORWARDING, encoding="ascii") as file:
        forwarding = file.read()
    number = secrets.randbelow(200)
    made = Bridge(f"lxt{secrets.token_hex(4)}", f"10.2{number // 8 + 30}.{number}.0/24")
    yield made
    bridge.remove_bridge(made.name, table=made.table)
    with open(bridge.FORWARDING, "w", encoding="ascii") as file:
        file.write(forwarding)
    assert made.name not in said("ip", "-oneline", "link", "show")
    assert made.table not in said("nft", "list", "tables")


def test_bridge_and_table(lab: Bridge) -> None:
    lab.ensure()
    gateway = addresses.gateway(lab.subnet)
    link = said("ip", "-details", "-oneline", "link", "show", "dev", lab.name)
    shown = said("ip", "-4", "-oneline", "address", "show", "dev", lab.name)
    rules = said("nft", "list", "table", "ip", lab.table)
    assert addresses.mac(gateway) in link
    assert "stp_state 0" in link
    assert f"inet {gateway}/24 brd {addresses.broadcast(lab.subnet)}" in shown
    assert f'ip saddr {lab.subnet} oifname != "{lab.name}" masquerade' in rules
    assert Path(bridge.FORWARDING).read_text() == "1\n"


def test_second_time_starts_no_program(lab: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.ensure()
    monkeypatch.setattr(bridge, "shell", None)
    lab.ensure()


@pytest.mark.parametrize(
    "damage",
    [
        "nft delete table ip {0.table}",
        "ip link set {0.name} down",
        "ip link delete {0.name}",
        "ip address flush dev {0.name}",
        "sysctl -qw net.ipv4.ip_forward=0",
    ],
)
def test_what_is_missing_is_made_again(lab: Bridge, damage: str) -> None:
    lab.ensure()
    rules = said("nft", "list", "table", "ip", lab.table)
    before = said("ip", "-4", "-oneline", "address", "show", "dev", lab.name).split()[2:8]
    said(*damage.format(lab).split())
    lab.ensure()
    assert rules == said("nft", "list", "table", "ip", lab.table)
    assert before == said("ip", "-4", "-oneline", "address", "show", "dev", lab.name).split()[2:8]
    assert Path(bridge.FORWARDING).read_text() == "1\n"


def test_bridge_of_another_subnet(lab: Bridge) -> None:
    lab.ensure()
    other = Bridge(lab.name, "10.229.7.0/24")
    with pytest.raises(LxcpyError, match=f"bridge {lab.name} has address"):
        other.ensure()


def test_interface_that_is_no_bridge() -> None:
    with pytest.raises(LxcpyError, match="network interface lo exists and is no bridge"):
        bridge.ensure_bridge("lo", "10.229.7.0/24", table="lxcpy_lo")
    assert not has_table("lxcpy_lo")


def test_question_about_a_table(lab: Bridge) -> None:
    assert not has_table(lab.table)
    lab.ensure()
    assert has_table(lab.table)
    assert not has_table(lab.table[:-1])
    assert not has_table(f"{lab.table}x")


def test_removal_of_nothing(lab: Bridge) -> None:
    bridge.remove_bridge(lab.name, table=lab.table)


def test_subnet_of_the_bridge_is_in_use(lab: Bridge) -> None:
    lab.ensure()
    with pytest.raises(LxcpyError, match="overlaps a network of the host"):
        subnets.check(lab.subnet)
    assert subnets.check(subnets.choose_subnet()) in subnets.CANDIDATES


@pytest.fixture
def listener(lab: Bridge) -> Iterator[list[str]]:
    """Answers one connection to port 7 of the bridge; who called is in the list then."""
    lab.ensure()
    callers: list[str] = []
    server = socket.create_server((addresses.gateway(lab.subnet), 7))
    server.settimeout(20)

    def answer() -> None:
        connection, (caller, _) = server.accept()
        with connection:
            callers.append(caller)
            connection.sendall(b"hello from the host\n")

    thread = Thread(target=answer)
    thread.start()
    yield callers
    thread.join()
    server.close()


def test_container_on_the_bridge(lab: Bridge, listener: list[str], tmp_path: Path) -> None:
    starts = Starts(tmp_path / "box")
    gateway = addresses.gateway(lab.subnet)
    (tmp_path / "leases").mkdir()
    address = addresses.claim(
        str(tmp_path / "leases"), lab.subnet, owner="x", preferred=None, is_alive=bool
    )
    config = starts.config(network=lab.network(address, secrets.token_hex(6)))
    script = f"nc {gateway} 7 </dev/null; ping -c 1 -W 5 {gateway}; busybox ip a; busybox ip r"
    done = starts.run(config, "sh", "-c", script)
    out = done.stdout.decode()
    assert (listener, done.stderr) == ([address], b"")
    assert out.startswith("hello from the host\n")
    assert "1 packets transmitted, 1 packets received" in out
    assert f"inet {address}/24 brd {addresses.broadcast(lab.subnet)} scope global eth0" in out
    assert f"link/ether {addresses.mac(address)}" in out
    assert "inet 127.0.0.1/8" in out
    assert f"default via {gateway} dev eth0" in out
    assert not os.path.exists(f"/sys/class/net/{config.network.veth}")


def test_two_containers_reach_each_other(lab: Bridge, tmp_path: Path) -> None:
    lab.ensure()
    base = lab.subnet.rpartition(".")[0]
    starts = Starts(tmp_path / "box")
    server = starts.config(network=lab.network(f"{base}.2", "a" + secrets.token_hex(6)))
    client = starts.config(network=lab.network(f"{base}.3", "b" + secrets.token_hex(6)))
    with starts.running(server, "sleep", "100"):
        done = starts.run(client, "ping", "-c", "1", "-W", "5", f"{base}.2")
    assert b"1 packets received" in done.stdout


def test_world_behind_the_host(lab: Bridge, tmp_path: Path) -> None:
    """A second namespace plays the world: it sees the host's address and reaches no container."""
    lab.ensure()
    base = lab.subnet.rpartition(".")[0]
    world, cable = f"lxw{lab.name[3:]}", f"vw{lab.name[3:]}"
    inside = ("ip", "netns", "exec", world)
    said("ip", "netns", "add", world)
    try:
        said("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", world)
        said("ip", "address", "add", "10.229.9.1/30", "dev", cable)
        said("ip", "link", "set", cable, "up")
        said(*inside, "ip", "address", "add", "10.229.9.2/30", "dev", "eth0")
        said(*inside, "ip", "link", "set", "eth0", "up")
        starts = Starts(tmp_path / "box")
        config = starts.config(network=lab.network(f"{base}.2", secrets.token_hex(6)))
        done = starts.run(config, "ping", "-c", "1", "-W", "5", "10.229.9.2")
        assert b"1 packets received" in done.stdout  # the world has no route back but by the host
        said(*inside, "ip", "route", "add", "default", "via", "10.229.9.1")
        again = starts.config(network=lab.network(f"{base}.3", secrets.token_hex(6)))
        with starts.running(again, "sleep", "100"):
            ping = [*inside, "busybox", "ping", "-c", "1", "-W", "1", f"{base}.3"]
            reached = subprocess.run(ping, check=False, capture_output=True)
            assert b"0 packets received" in reached.stdout
    finally:
        said("ip", "netns", "delete", world)
