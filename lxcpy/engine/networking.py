"""A container's network at its start: bridge, address, and the files that tell it of both."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from lxcpy import kernel, state
from lxcpy.containers import states
from lxcpy.engine.host import DEFAULT_BRIDGE, Host
from lxcpy.lxc.config import Network
from lxcpy.model import Container
from lxcpy.network import addresses, bridge, resolv


@dataclass(frozen=True)
class Link:
    """What a container is connected to; `lease` is the file that its monitor removes at the end."""

    network: Network
    address: str = ""
    lease: str = ""


@contextmanager
def connected(host: Host, container: Container) -> Iterator[Link]:
    """Connect a container for the start inside; when that fails, its address is free again."""
    link = _bridged(host, container) if container.network == "bridge" else _unbridged(container)
    try:
        _write_files(host, container, link)
        yield link
    except BaseException:
        if link.lease:
            with _locked(host):
                addresses.release(*os.path.split(link.lease), owner=_owner(container))
        raise


def _unbridged(container: Container) -> Link:
    return Link(Network(kind=container.network))


def _bridged(host: Host, container: Container) -> Link:
    with _locked(host):
        subnet = _subnet(host)
        bridge.ensure_bridge(host.bridge, subnet, table=nft_table(host.bridge))
        leases = f"{host.paths.leases}/{host.bridge}"
        os.makedirs(leases, mode=0o700, exist_ok=True)
        address = addresses.claim(
            leases,
            subnet,
            owner=_owner(container),
            preferred=_last_address(host, container),
            is_alive=lambda owner: _is_alive(host, owner),
        )
    length = subnet.partition("/")[2]
    network = Network(
        kind="veth",
        bridge=host.bridge,
        veth=addresses.veth_name(container.key),
        address=f"{address}/{length}",
        broadcast=addresses.broadcast(subnet),
        gateway=addresses.gateway(subnet),
        mac=addresses.mac(address),
    )
    return Link(network, address=f"{address}/{length}", lease=f"{leases}/{address}")


def _locked(host: Host) -> AbstractContextManager[None]:
    return state.lock(f"{host.paths.locks}/network-{host.bridge}", what=f"network {host.bridge}")


def _owner(container: Container) -> str:
    """Whose a lease is: the container's, and until it runs the process's that starts it."""
    own = os.getpid()
    return f"{container.key} {own} {kernel.start_time(own)}"


def nft_table(name: str) -> str:
    """The firewall table of a bridge: `lxcpy` for the default one."""
    return "lxcpy" if name == DEFAULT_BRIDGE else f"lxcpy_{name}"


def _subnet(host: Host) -> str:
    """The subnet of the bridge: chosen at its first use, and the same ever after."""
    path = f"{host.paths.networks}/{host.bridge}.json"
    record = state.read_record(path)
    if record is None:
        from lxcpy.network import subnets

        record = {"subnet": subnets.check(host.subnet) if host.subnet else subnets.choose_subnet()}
        state.write_record(path, record)
    return str(record["subnet"])


def _last_address(host: Host, container: Container) -> str | None:
    start = state.read_record(f"{host.paths.container(container.key)}/start.json")
    return start["address"].partition("/")[0] or None if start else None


def _is_alive(host: Host, owner: str) -> bool:
    """Whether a lease counts: its container runs, or the process that took it still starts it."""
    key, _, claimant = owner.partition(" ")
    pid, _, started = claimant.partition(" ")
    if pid.isdecimal() and started.isdecimal() and kernel.alive(int(pid), int(started)):
        return True
    return host.containers.exists(key) and states.read(host.paths, key).monitor is not None


def _write_files(host: Host, container: Container, link: Link) -> None:
    """hosts, hostname and resolv.conf; they are bound into the container, so they keep inodes."""
    directory = host.paths.container(container.key)
    address = link.address.partition("/")[0]
    contents = {
        "hosts": resolv.hosts(container.hostname, address),
        "hostname": f"{container.hostname}\n",
        "resolv.conf": resolv.resolv_conf(network=container.network),
    }
    for name, text in contents.items():
        data = text.encode()
        state.write_file(f"{directory}/{name}", data, mode=0o644, durable=False)
