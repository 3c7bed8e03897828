"""The bridge of a network, and the firewall table that lets its containers reach the world."""

import sys

from lxcpy import shell, templates
from lxcpy.errors import CommandError, LxcpyError
from lxcpy.network.addresses import gateway, mac, parse_subnet
from lxcpy.network.netfilter import has_table

NAME_LENGTH = 15  # IFNAMSIZ without its NUL, netdevice(7)
# A bridge is part of the name of its nft table, and nft takes no hyphen there.
NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")
FORWARDING = "/proc/sys/net/ipv4/ip_forward"


def ensure_bridge(name: str, subnet: str, *, table: str) -> None:
    """Make the bridge, its address and its firewall table, as far as they are missing.

    The caller holds the network's lock. A bridge without an address is adopted; LxcpyError for one
    with another subnet. The table is looked for every time, since a restart of the host's firewall
    drops it. When nothing is missing it takes 0.3 ms and no process.
    """
    if not _is_up(name, subnet):
        _make(name, subnet)
    _forward()
    if not has_table(table):
        _make_table(name, subnet, table=table)


def remove_bridge(name: str, *, table: str) -> None:
    """Remove the bridge and its firewall table, whatever there is of them."""
    if has_table(table):
        shell.run(["nft", "delete", "table", "ip", table])
    if _exists(name):
        shell.run(["ip", "link", "delete", "dev", name, "type", "bridge"])


def _is_up(name: str, subnet: str) -> bool:
    """Whether the kernel has the route of this subnet over this bridge.

    It has one while the bridge is up and has its address (/proc/net/route, in this machine's byte
    order), in the network namespace of this process, unlike /sys/class/net.
    """
    base, length = parse_subnet(subnet)
    mask = (0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF
    wanted = [name, _route_field(base), "00000000", _route_field(mask)]
    with open("/proc/net/route", encoding="ascii", errors="replace") as file:
        routes = [line.split() for line in file]
    return any([*fields[:3], *fields[7:8]] == wanted for fields in routes)


def _route_field(number: int) -> str:
    return f"{int.from_bytes(number.to_bytes(4), sys.byteorder):08X}"


def _make(name: str, subnet: str) -> None:
    if len(name) > NAME_LENGTH or not NAME_CHARACTERS.issuperset(name) or not name.strip("."):
        raise LxcpyError(
            f"{name!r} is no name for a bridge",
            hint=f"use at most {NAME_LENGTH} letters, digits, '_' and '.'",
        )
    address = f"{gateway(subnet)}/{subnet.partition('/')[2]}"
    if _exists(name):
        _check(name, address)
    else:
        # A fixed hardware address: else it changes with the ports, and with it every neighbour's
        # memory. Without spanning tree a new port forwards at once.
        _ip(["link", "add", "name", name, "address", mac(gateway(subnet)), "type", "bridge",
             "stp_state", "0", "forward_delay", "0"], name)  # fmt: skip
    _ip(["address", "replace", address, "broadcast", "+", "dev", name], name)
    _ip(["link", "set", "dev", name, "up"], name)


def _exists(name: str) -> bool:
    with open("/proc/net/dev", encoding="ascii", errors="replace") as file:
        return any(line.partition(":")[0].strip() == name for line in file)


def _check(name: str, address: str) -> None:
    """LxcpyError for something of that name that is not this network's bridge."""
    if not shell.run(["ip", "link", "show", "dev", name, "type", "bridge"]).stdout:
        raise LxcpyError(f"network interface {name} exists and is no bridge")
    shown = shell.run(["ip", "-4", "-oneline", "address", "show", "dev", name]).stdout.decode()
    found = [fields[3] for fields in map(str.split, shown.splitlines()) if len(fields) > 3]
    if found and address not in found:
        raise LxcpyError(
            f"bridge {name} has address {found[0]}, and lxcpy wants {address}",
            hint=f"use another bridge, or remove this one: ip link delete {name}",
        )


def _ip(argv: list[str], name: str) -> None:
    try:
        shell.run(["ip", *argv])
    except CommandError as error:
        raise LxcpyError(
            f"cannot make bridge {name}: {error.message}",
            hint="lxcpy needs root, and a kernel with the bridge module (modprobe bridge)",
            details=error.stderr,
        ) from error


def _forward() -> None:
    """Let the host forward packets of IPv4, as every bridged container needs."""
    try:
        with open(FORWARDING, "r+", encoding="ascii") as file:
            if file.read().strip() == "0":
                file.seek(0)
                file.write("1")
    except OSError as error:
        raise LxcpyError(f"cannot set {FORWARDING} to 1: {error.strerror}") from error


def _make_table(name: str, subnet: str, *, table: str) -> None:
    variables = {"bridge": name, "subnet": subnet, "table": table}
    rules = templates.render("nftables.j2", variables, cache_dir=None)
    try:
        shell.run(["nft", "-f", "-"], stdin=rules.encode())
    except CommandError as error:
        raise LxcpyError(
            f"cannot make firewall table {table} of bridge {name}: {error.message}",
            hint="the kernel needs nf_tables with nat and masquerade (modprobe nft_masq)",
            details=error.stderr,
        ) from error
