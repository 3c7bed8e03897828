"""The nouns: frozen records and enums, no I/O."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

SHORT_ID = 12  # hex digits of an id in lists, and the name of a container's directory


class Status(StrEnum):
    """The states of a container, in docker's words."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    EXITED = "exited"


class ChangeKind(StrEnum):
    """How a path of a container differs from its image, in docker's letters."""

    ADDED = "A"
    CHANGED = "C"
    DELETED = "D"


@dataclass(frozen=True)
class Change:
    kind: ChangeKind
    path: str  # absolute, inside the container; bytes that are not UTF-8 as surrogate escapes


@dataclass(frozen=True)
class ContainerSpec:
    """What a user asks of `run` and `create`; None means the image's own value."""

    image: str
    command: tuple[str, ...] = ()
    name: str | None = None
    entrypoint: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()  # KEY=VALUE
    labels: dict[str, str] = field(default_factory=dict)
    workdir: str | None = None
    user: str | None = None  # name|uid[:group|gid]
    hostname: str | None = None
    tty: bool = False
    open_stdin: bool = False
    auto_remove: bool = False
    init: bool = False
    network: str = "bridge"  # bridge, none or host
    stop_signal: str | None = None
    lxc_conf: tuple[str, ...] = ()  # KEY=VALUE


@dataclass(frozen=True)
class Container:
    """A container as it was created; spec.json holds it and is written once."""

    id: str
    created: str  # RFC 3339
    image: str  # the reference as it was typed
    image_id: str
    layers: tuple[str, ...]  # diffIDs, bottom first
    argv: tuple[str, ...]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    env: tuple[str, ...]
    labels: dict[str, str]
    workdir: str
    user: str
    hostname: str
    tty: bool
    open_stdin: bool
    auto_remove: bool
    init: bool
    network: str
    stop_signal: str
    lxc_conf: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        """The name of its directory, and of the LXC container."""
        return self.id[:SHORT_ID]


@dataclass(frozen=True)
class State:
    """What a container does now, derived from its records and the kernel."""

    status: Status
    pid: int = 0  # of its init, on the host; 0 unless it runs
    pid_start: int = 0  # start time of that process, in clock ticks since boot
    exit_code: int = 0
    error: str = ""
    started_at: str = ""  # RFC 3339; empty before the first start
    finished_at: str = ""
    address: str = ""  # IPv4 with prefix length, on the bridge
    monitor: tuple[int, int] | None = None  # pid and start time, while one lives


@dataclass(frozen=True)
class Layer:
    """One layer of an image as it lies on disk, unpacked in the driver's format."""

    diff_id: str  # sha256:<hex> of the uncompressed tar
    directory: str  # absolute; holds fs/
    size: int  # bytes of file content

    @property
    def fs(self) -> str:
        return f"{self.directory}/fs"


@dataclass(frozen=True)
class Image:
    """An image: its OCI config and the names that point to it."""

    id: str  # hex sha256 of the config's bytes
    config: dict[str, Any]
    names: tuple[str, ...]  # repository:tag, sorted

    @property
    def layers(self) -> tuple[str, ...]:
        """diffIDs, bottom first."""
        return tuple(self.config["rootfs"]["diff_ids"])


@dataclass(frozen=True)
class Mount:
    """The command lines, run in `cwd`, that put a union on its target."""

    cwd: str
    commands: tuple[tuple[str, ...], ...]


class BranchFormat(Protocol):
    """How a union file system marks deletions in a branch.

    Paths are absolute; names and paths are str with surrogate escapes (os.fsdecode).
    """

    def whiteout_of(self, path: str) -> str | None:
        """The name that the entry at `path` hides, None when it is an ordinary entry."""

    def make_whiteout(self, directory: str, name: str) -> None:
        """Hide `name` of the branches below in `directory`."""

    def is_opaque(self, directory: str) -> bool:
        """Whether the directory hides everything that the branches below have in it."""

    def make_opaque(self, directory: str) -> None: ...

    def is_internal(self, name: str) -> bool:
        """Whether an entry of that name is the file system's own and never a user's."""

    def find_whiteout(self, directory: str, name: str) -> bool:
        """Whether `directory` hides `name` of the branches below."""


class Driver(BranchFormat, Protocol):
    """A union file system, or what stands in for one."""

    name: str

    def probe(self, scratch: str) -> str | None:
        """Try a real mount in the empty directory `scratch`; the reason why not, None if able."""

    def mount(self, layers: Sequence[str], upper: str, work: str, target: str) -> Mount:
        """How to mount: `layers` are branch directories, top first."""

    def prepare(self, layers: Sequence[str], upper: str, work: str) -> None:
        """Make `upper` and `work` ready for the first mount of a new container."""

    def changes(self, layers: Sequence[str], upper: str) -> Iterator[Change]:
        """How `upper` differs from the branches below it (top first), parents before children."""
