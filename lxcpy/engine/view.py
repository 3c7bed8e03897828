"""What a user sees of containers, images and the host: plain data in docker's field names."""

import calendar
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lxcpy import kernel, shell, state
from lxcpy.containers import states
from lxcpy.containers.logs import Piece
from lxcpy.containers.logs import read as read_log
from lxcpy.engine import image as images
from lxcpy.engine.host import Host
from lxcpy.errors import LxcpyError, NotFoundError
from lxcpy.model import Container, Image, State, Status

ZERO_TIME = "0001-01-01T00:00:00Z"  # Go's, in docker's output, for what did not happen


@dataclass(frozen=True)
class Row:
    """One container in a list."""

    container: Container
    state: State
    name: str


def containers(host: Host, *, everything: bool = False) -> tuple[list[Row], list[str]]:
    """The running containers, or all of them, newest first; and why others cannot be read."""
    names = host.containers.names()
    found, errors = host.containers.load_all()
    rows = []
    for container in found:
        try:
            now = states.read(host.paths, container.key)
        except LxcpyError as error:
            errors.append(error)
        else:
            if everything or now.pid:
                rows.append(Row(container, now, names.get(container.key, "")))
    rows.sort(key=lambda row: row.container.created, reverse=True)
    return rows, [error.message for error in errors]


def logs(host: Host, key: str) -> Iterator[Piece]:
    """All that the container has written so far, in order."""
    return read_log(f"{host.paths.container(key)}/log")


def config_text(host: Host, key: str) -> str:
    """The LXC config of the last start, as it was rendered; LxcpyError before the first."""
    path = f"{host.paths.container(key)}/config"
    try:
        with open(path, "rb") as file:
            return os.fsdecode(file.read())
    except FileNotFoundError as error:
        raise LxcpyError(
            f"container {key} has no config yet", hint="it is rendered when the container starts"
        ) from error


def seconds_since(text: str) -> float:
    """Seconds from a time in RFC 3339 (UTC, as lxcpy and docker write it) until now."""
    whole = calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
    return max(0.0, time.time() - whole)


def span(seconds: float) -> str:
    """A length of time in docker's words: `Less than a second`, `About an hour`, `3 days`."""
    minutes, hours = int(seconds / 60), int(seconds / 3600 + 0.5)
    days = hours // 24
    steps = (
        (seconds < 1, "Less than a second"),
        (seconds < 2, "1 second"),
        (seconds < 60, f"{int(seconds)} seconds"),
        (minutes == 1, "About a minute"),
        (minutes < 60, f"{minutes} minutes"),
        (hours == 1, "About an hour"),
        (hours < 48, f"{hours} hours"),
        (days < 14, f"{days} days"),
        (days < 60, f"{days // 7} weeks"),
        (days < 730, f"{days // 30} months"),
    )
    return next((words for fits, words in steps if fits), f"{days // 365} years")


def status_line(now: State) -> str:
    """The STATUS column of ps."""
    match now.status:
        case Status.RUNNING:
            return f"Up {span(seconds_since(now.started_at))}"
        case Status.EXITED:
            return f"Exited ({now.exit_code}) {span(seconds_since(now.finished_at))} ago"
        case _:
            return "Created"


def inspect(host: Host, text: str, *, kind: str | None = None) -> dict[str, Any]:
    """A container, else an image, of that name or id; of `kind` alone when it is given."""
    if kind != "image" and (key := host.containers.find(text)):
        return inspect_container(host, key)
    if kind != "container":
        try:
            return inspect_image(host, images.get(host, text))
        except NotFoundError:
            pass
    raise NotFoundError(f"No such object: {text}", hint="lxcpy ps -a and lxcpy images list them")


def inspect_container(host: Host, key: str) -> dict[str, Any]:
    """A container in the field names of `docker inspect`."""
    container = host.containers.load(key)
    now = states.read(host.paths, key)
    directory = host.paths.container(key)
    address, _, length = now.address.partition("/")
    return {
        "Id": container.id,
        "Created": container.created,
        "Path": container.argv[0],
        "Args": list(container.argv[1:]),
        "State": _state(now),
        "Image": f"sha256:{container.image_id}",
        "Name": f"/{host.containers.name(key)}",
        "HostnamePath": f"{directory}/hostname",
        "HostsPath": f"{directory}/hosts",
        "ResolvConfPath": f"{directory}/resolv.conf",
        "LogPath": f"{directory}/log",
        "Driver": host.driver.name,
        "Config": _config(container),
        "HostConfig": {
            "AutoRemove": container.auto_remove,
            "Init": container.init,
            "NetworkMode": container.network,
            "LxcConf": [{"Key": name, "Value": value} for name, value in container.lxc_conf],
        },
        "GraphDriver": {
            "Name": host.driver.name,
            "Data": {"UpperDir": f"{directory}/upper", "MergedDir": f"{directory}/rootfs"},
        },
        "NetworkSettings": {
            "Bridge": host.bridge if container.network == "bridge" else "",
            "IPAddress": address,
            "IPPrefixLen": int(length or 0),
        },
    }


def _state(now: State) -> dict[str, Any]:
    return {
        "Status": str(now.status),
        "Running": now.status is Status.RUNNING,
        "Paused": now.status is Status.PAUSED,
        "Pid": now.pid,
        "ExitCode": now.exit_code,
        "Error": now.error,
        "StartedAt": now.started_at or ZERO_TIME,
        "FinishedAt": now.finished_at or ZERO_TIME,
    }


def _config(container: Container) -> dict[str, Any]:
    return {
        "Hostname": container.hostname,
        "User": container.user,
        "Tty": container.tty,
        "OpenStdin": container.open_stdin,
        "Env": list(container.env),
        "Cmd": list(container.command) or None,
        "Entrypoint": list(container.entrypoint) or None,
        "Image": container.image,
        "WorkingDir": container.workdir,
        "Labels": container.labels,
        "StopSignal": container.stop_signal,
    }


def inspect_image(host: Host, image: Image) -> dict[str, Any]:
    """An image in the field names of `docker inspect`."""
    config = image.config
    history = config.get("history") or [{}]
    return {
        "Id": f"sha256:{image.id}",
        "RepoTags": list(image.names),
        "RepoDigests": [],
        "Comment": history[-1].get("comment", ""),
        "Created": config.get("created", ZERO_TIME),
        "Author": config.get("author", ""),
        "Config": config.get("config") or {},
        "Architecture": config.get("architecture", ""),
        "Os": config.get("os", ""),
        "Size": images.size(host, image),
        "RootFS": {"Type": "layers", "Layers": list(image.layers)},
    }


def info(host: Host) -> dict[str, Any]:
    """The host and this root in numbers, as `docker info` tells them."""
    from lxcpy import __version__

    rows, unreadable = containers(host, everything=True)
    running = sum(1 for row in rows if row.state.pid)
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(file.readline().split()[1]) * 1024
    return {
        "Containers": len(rows),
        "ContainersRunning": running,
        "ContainersStopped": len(rows) - running,
        "Images": len(images.all_images(host)),
        "Driver": host.driver.name,
        "CgroupVersion": "2" if kernel.is_cgroup2() else "1",
        "KernelVersion": os.uname().release,
        "OperatingSystem": _distribution(),
        "Architecture": os.uname().machine,
        "NCPU": os.cpu_count(),
        "MemTotal": memory,
        "RootDir": host.paths.root,
        "RunRoot": host.paths.runroot,
        "Bridge": host.bridge,
        "Subnet": (state.read_record(f"{host.paths.networks}/{host.bridge}.json") or {}).get(
            "subnet", host.subnet or ""
        ),
        "ServerVersion": __version__,
        "LxcVersion": lxc_version(),
        "Warnings": unreadable,
    }


def lxc_version() -> str:
    """What lxc-start says of itself; LxcpyError when LXC is missing."""
    return shell.run(["lxc-start", "--version"]).stdout.decode().strip()


def _distribution() -> str:
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            items = dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
    except OSError:
        return "unknown"
    return items.get("PRETTY_NAME", "unknown").strip('"')
