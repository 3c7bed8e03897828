"""The library: the verbs of the command line as objects, over the same engine."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lxcpy.engine import host as hosts
from lxcpy.errors import CommandError
from lxcpy.model import Change, ContainerSpec, State


class Host:
    """One root of lxcpy on this machine; needs root, raises LxcpyError like every method here.

    Without arguments it is the same root as the command line's: LXCPY_ROOT, LXCPY_RUNROOT and the
    like count, then /var/lib/lxcpy and /run/lxcpy.
    """

    def __init__(
        self,
        root: str | None = None,
        *,
        runroot: str | None = None,
        bridge: str | None = None,
        subnet: str | None = None,
        storage_driver: str | None = None,
    ) -> None:
        self._host = hosts.open_host(
            root, runroot=runroot, bridge=bridge, subnet=subnet, storage_driver=storage_driver
        )

    def run(self, image: str, command: Sequence[str] = (), **options: Any) -> "Container":
        """Create a container and start it in the background; `options` as for `create`."""
        from lxcpy.engine import lifecycle

        container, link = lifecycle.run(self._host, _spec(image, command, options))
        link.close()
        return Container(self._host, container.key)

    def create(self, image: str, command: Sequence[str] = (), **options: Any) -> "Container":
        """Create a container.

        `options` are the fields of lxcpy.ContainerSpec: name, env (NAME=VALUE items or a mapping),
        entrypoint, labels, workdir, user, hostname, tty, open_stdin, auto_remove, init, network,
        stop_signal, lxc_conf.
        """
        from lxcpy.engine import lifecycle

        container = lifecycle.create(self._host, _spec(image, command, options))
        return Container(self._host, container.key)

    def get(self, container: str) -> "Container":
        """The container of a name, an id or a unique prefix of one."""
        return Container(self._host, self._host.containers.get(container))

    def containers(self, *, everything: bool = False) -> list["Container"]:
        """The running containers, or all of them, newest first."""
        from lxcpy.engine import view

        rows, _ = view.containers(self._host, everything=everything)
        return [Container(self._host, row.container.key) for row in rows]

    def image(self, reference: str) -> "Image":
        """The image of a name, an id or a unique prefix of one."""
        from lxcpy.engine import image

        return Image(self._host, image.get(self._host, reference).id)

    def images(self) -> list["Image"]:
        """All images, newest first."""
        from lxcpy.engine import image

        return [Image(self._host, found.id) for found in image.all_images(self._host)]

    def import_image(
        self,
        source: str,
        name: str | None = None,
        *,
        changes: Sequence[str] = (),
        message: str = "",
    ) -> "Image":
        """Make an image of a tar: a file, a URL, or "-" for standard input."""
        from lxcpy.engine import image

        made = image.import_image(self._host, source, name=name, changes=changes, message=message)
        return Image(self._host, made.id)

    def bootstrap_busybox(self, name: str = "busybox") -> "Image":
        """Make a base image of the host's static busybox, offline."""
        from lxcpy.engine import image

        return Image(self._host, image.bootstrap_busybox(self._host, name).id)

    def info(self) -> dict[str, Any]:
        """The host and this root in numbers."""
        from lxcpy.engine import view

        return view.info(self._host)


class Container:
    """One container; its state is asked of the kernel each time."""

    def __init__(self, host: hosts.Host, key: str) -> None:
        self._host = host
        self.key = key  # the first 12 digits of its id, also the name of the LXC container

    def __repr__(self) -> str:
        return f"<lxcpy.Container {self.key}>"

    @property
    def id(self) -> str:
        return self._host.containers.load(self.key).id

    @property
    def name(self) -> str:
        return self._host.containers.name(self.key)

    @property
    def state(self) -> State:
        from lxcpy.engine import lifecycle

        return lifecycle.state(self._host, self.key)

    def start(self) -> None:
        """Start it in the background; StartError says why it does not run."""
        from lxcpy.engine import lifecycle

        lifecycle.start(self._host, self.key).close()

    def stop(self, *, timeout_s: float = 10.0) -> None:
        """Send the stop signal, after `timeout_s` SIGKILL, and wait for the end."""
        from lxcpy.engine import lifecycle

        lifecycle.stop(self._host, self.key, timeout_s=timeout_s)

    def kill(self, signal: str = "KILL") -> None:
        """Send a signal to its first process."""
        from lxcpy.engine import lifecycle

        lifecycle.kill(self._host, self.key, lifecycle.signal_number(signal))

    def wait(self) -> int:
        """Wait for its end: the exit code, 128+n for signal n."""
        from lxcpy.engine import lifecycle

        return lifecycle.wait(self._host, self.key)

    def remove(self, *, force: bool = False) -> None:
        """Delete it; a running one only with `force`."""
        from lxcpy.engine import lifecycle

        lifecycle.remove(self._host, self.key, force=force)

    def logs(self) -> bytes:
        """All it has written so far, both streams in order."""
        from lxcpy.engine import view

        return b"".join(piece.data for piece in view.logs(self._host, self.key))

    def exec(self, command: Sequence[str], **options: Any) -> bytes:
        """Run a command in it and return its output; CommandError when it does not exit with 0.

        `options`: env (NAME=VALUE items or a mapping), workdir, user.
        """
        from lxcpy import shell
        from lxcpy.engine import process

        spec = process.ExecSpec(argv=tuple(command), **_options(options))
        argv, environment = process.prepare(self._host, self.key, spec)
        result = shell.run(argv, environment=environment, ok=range(-64, 256))
        if result.code:
            raise CommandError(list(command), result.code, result.stderr)
        return result.stdout

    def diff(self) -> list[Change]:
        """How its files differ from its image."""
        from lxcpy.engine import change

        return change.diff(self._host, self.key)

    def commit(
        self,
        name: str | None = None,
        *,
        message: str = "",
        author: str = "",
        changes: Sequence[str] = (),
        pause: bool = True,
    ) -> "Image":
        """Make an image of what it changed."""
        from lxcpy.engine import change

        made = change.commit(
            self._host, self.key, name=name, message=message, author=author, changes=changes,
            pause=pause,
        )  # fmt: skip
        return Image(self._host, made.id)

    def inspect(self) -> dict[str, Any]:
        """All about it, in docker's field names."""
        from lxcpy.engine import view

        return view.inspect_container(self._host, self.key)


class Image:
    """One image."""

    def __init__(self, host: hosts.Host, image_id: str) -> None:
        self._host = host
        self.id = image_id  # hex sha256 of its config

    def __repr__(self) -> str:
        return f"<lxcpy.Image {self.id[:12]}>"

    @property
    def names(self) -> tuple[str, ...]:
        from lxcpy.engine import image

        return image.get(self._host, self.id).names

    def tag(self, name: str) -> None:
        """Give it one more name."""
        from lxcpy.engine import image

        image.tag(self._host, self.id, name)

    def remove(self, *, force: bool = False) -> None:
        """Delete it with its only name, or with all of them by `force`."""
        from lxcpy.engine import image

        image.remove(self._host, self.id, force=force)

    def inspect(self) -> dict[str, Any]:
        """All about it, in docker's field names."""
        from lxcpy.engine import image, view

        return view.inspect_image(self._host, image.get(self._host, self.id))


def _spec(image: str, command: Iterable[str], options: dict[str, Any]) -> ContainerSpec:
    return ContainerSpec(image=image, command=tuple(command), **_options(options))


def _options(options: dict[str, Any]) -> dict[str, Any]:
    """Lists as tuples, a mapping for env as items: what is handy in Python."""
    given = dict(options)
    if isinstance(env := given.get("env"), Mapping):
        given["env"] = [f"{os.fspath(name)}={value}" for name, value in env.items()]
    return {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
