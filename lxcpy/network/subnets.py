"""Which subnet a new bridge gets: one that hides nothing that the host can reach."""

import sys
from collections.abc import Iterator
from contextlib import suppress

from lxcpy.errors import LxcpyError
from lxcpy.network import resolv
from lxcpy.network.addresses import parse_subnet, to_number

# Private /16s (RFC 1918) that the defaults of others leave alone: docker 172.17-31, podman 10.88,
# libvirt 192.168.122, lxc-net 10.0.3, kubernetes 10.96-10.111 and 10.244, k3s 10.42-43, VirtualBox
# and vagrant 10.0.2 and 192.168.56, cloud networks 10.0-10.10, 10.128 and 172.31.
CANDIDATES = (
    "10.77.0.0/16", "10.117.0.0/16", "10.143.0.0/16", "10.167.0.0/16", "10.197.0.0/16",
    "10.221.0.0/16", "172.30.0.0/16", "172.27.0.0/16", "172.24.0.0/16",
)  # fmt: skip

Range = tuple[int, int]  # first and last address


def choose_subnet() -> str:
    """The first candidate that overlaps no route, address or name server of the host."""
    used = list(used_ranges())
    for candidate in CANDIDATES:
        if not _overlaps(_range(candidate), used):
            return candidate
    raise LxcpyError(
        "no subnet is free for containers: the host has routes to all that lxcpy knows",
        hint="choose one: LXCPY_SUBNET=10.x.y.0/24",
    )


def check(subnet: str) -> str:
    """A subnet that a user chose; LxcpyError when it is none or the host uses it already."""
    if _overlaps(_range(subnet), list(used_ranges())):
        raise LxcpyError(f"subnet {subnet} overlaps a network of the host", hint="see: ip route")
    return subnet


def used_ranges() -> Iterator[Range]:
    """What the host reaches or is: routes but the default one, addresses, IPv4 name servers."""
    yield from routes(_read("/proc/net/route"))
    yield from addresses(_read("/proc/net/fib_trie"))
    yield from name_servers(_read("/etc/resolv.conf"))


def routes(text: str) -> Iterator[Range]:
    """The destinations of /proc/net/route: hexadecimal, in the byte order of this machine."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        first, mask = (_network_order(field) for field in (fields[1], fields[7]))
        if mask:
            yield first, first | (mask ^ 0xFFFFFFFF)


def _network_order(field: str) -> int:
    return int.from_bytes(int(field, 16).to_bytes(4, sys.byteorder))


def addresses(text: str) -> Iterator[Range]:
    """The host's own addresses in /proc/net/fib_trie: `|-- ADDRESS` above `/32 host LOCAL`."""
    leaf = ""
    for line in text.splitlines():
        fields = line.split()
        if fields[:1] == ["|--"]:
            leaf = fields[1]
        elif fields[:3] == ["/32", "host", "LOCAL"]:
            yield to_number(leaf), to_number(leaf)


def name_servers(text: str) -> Iterator[Range]:
    """The IPv4 name servers of a resolv.conf(5); others need no care."""
    for address in resolv.name_servers(text):
        with suppress(LxcpyError):
            yield to_number(address), to_number(address)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _range(subnet: str) -> Range:
    base, length = parse_subnet(subnet)
    return base, base | ((1 << (32 - length)) - 1)


def _overlaps(one: Range, others: list[Range]) -> bool:
    return any(one[0] <= last and first <= one[1] for first, last in others)
