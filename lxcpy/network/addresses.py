"""IPv4 addresses of containers: arithmetic, and leases as files named after the address.

The ipaddress module would do the arithmetic, but its import takes longer than a whole claim.
"""

import os
from collections.abc import Callable
from contextlib import suppress

from lxcpy import state
from lxcpy.errors import LxcpyError

LAST = ".last"  # the address given last
OWNER_BYTES = 4096


def to_number(address: str) -> int:
    """The 32 bits of a dotted IPv4 address; LxcpyError when it is none."""
    parts = address.split(".")
    if len(parts) != 4 or not all(_is_byte(part) for part in parts):
        raise LxcpyError(f"{address!r} is no IPv4 address", hint="write it as 10.0.0.1")
    return int.from_bytes(map(int, parts))


def _is_byte(part: str) -> bool:
    return part.isascii() and part.isdigit() and len(part) <= 3 and int(part) < 256


def to_text(number: int) -> str:
    return ".".join(map(str, number.to_bytes(4)))


def parse_subnet(subnet: str) -> tuple[int, int]:
    """First address and prefix length of ADDRESS/LENGTH; LxcpyError for one that cannot be used.

    It has room for a gateway and a container, so the length is 30 at most, and 8 at least.
    """
    address, slash, length = subnet.partition("/")
    base = to_number(address)
    if not slash or not _is_byte(length) or not 8 <= int(length) <= 30:
        raise LxcpyError(
            f"{subnet!r} is no subnet: its prefix length must be between 8 and 30",
            hint="write it as 10.0.0.0/16",
        )
    if base & _host_mask(int(length)):
        raise LxcpyError(f"{subnet!r} is no subnet: the bits behind its prefix are not 0")
    return base, int(length)


def _host_mask(length: int) -> int:
    return (1 << (32 - length)) - 1


def gateway(subnet: str) -> str:
    """The bridge's own address: the first one."""
    return to_text(parse_subnet(subnet)[0] + 1)


def broadcast(subnet: str) -> str:
    base, length = parse_subnet(subnet)
    return to_text(base | _host_mask(length))


def mac(address: str) -> str:
    """The hardware address that goes with an IPv4 address: 02:42 and its bytes, as in docker."""
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x42, *to_number(address).to_bytes(4)))


def veth_name(key: str) -> str:
    """The host's end of a container's cable: at most 15 characters (IFNAMSIZ, netdevice(7))."""
    return f"vl{key[:12]}"


def claim(
    directory: str,
    subnet: str,
    *,
    owner: str,
    preferred: str | None,
    is_alive: Callable[[str], bool],
) -> str:
    """Lease a free address of the subnet to `owner`; the caller holds the network's lock.

    `preferred` if it can be had, else the one after the address given last: a used address rests as
    long as possible, since neighbours remember its hardware address. A lease counts while
    `is_alive(its owner)`, which is asked only when no address is without a lease.
    """
    base, length = parse_subnet(subnet)
    numbers = range(base + 2, base + _host_mask(length))  # without network, gateway and broadcast
    if preferred and to_number(preferred) in numbers:
        holder = _owner(f"{directory}/{preferred}")
        if holder in (None, owner) or not is_alive(str(holder)):
            return _lease(directory, preferred, owner=owner)
    address = _next_free(directory, numbers) or _reclaimed(directory, numbers, is_alive)
    if address is None:
        raise LxcpyError(
            f"no address is free in subnet {subnet}: {len(numbers)} containers use it",
            hint="stop some, or use another bridge with a larger subnet",
        )
    state.write_file(f"{directory}/{LAST}", address.encode(), durable=False)
    return _lease(directory, address, owner=owner)


def _next_free(directory: str, numbers: range) -> str | None:
    taken = set(os.listdir(directory))
    start = 0
    with suppress(LxcpyError, ValueError):
        start = numbers.index(to_number(_owner(f"{directory}/{LAST}") or "")) + 1
    for i in range(len(numbers)):
        address = to_text(numbers[(start + i) % len(numbers)])
        if address not in taken:
            return address
    return None


def _reclaimed(directory: str, numbers: range, is_alive: Callable[[str], bool]) -> str | None:
    """Remove every lease whose owner is gone, and return one of their addresses."""
    found = None
    for address in map(to_text, numbers):
        if not is_alive(_owner(f"{directory}/{address}") or ""):
            with suppress(FileNotFoundError):
                os.unlink(f"{directory}/{address}")
            found = found or address
    return found


def _owner(path: str) -> str | None:
    """Who holds a lease; empty when its writer was killed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return os.read(fd, OWNER_BYTES).decode(errors="replace")
    finally:
        os.close(fd)


def _lease(directory: str, address: str, *, owner: str) -> str:
    state.write_file(f"{directory}/{address}", owner.encode(), durable=False)
    return address


def release(directory: str, address: str, owner: str) -> None:
    """End a lease, unless it is somebody else's by now; the caller holds the network's lock."""
    path = f"{directory}/{address}"
    if _owner(path) == owner:
        with suppress(FileNotFoundError):
            os.unlink(path)
