"""Change management: what a container changed, and an image made of it."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

from lxcpy import kernel, shell
from lxcpy.engine import image as images
from lxcpy.engine import launch, lifecycle
from lxcpy.engine.host import Host
from lxcpy.errors import LxcpyError
from lxcpy.model import Change, Container, Image, Layer


def diff(host: Host, key: str) -> list[Change]:
    """How the container's files differ from its image, sorted by path."""
    container = host.containers.load(key)
    upper = f"{host.paths.container(key)}/upper"
    return list(host.driver.changes(launch.branches(host, container), upper))


def commit(
    host: Host,
    key: str,
    *,
    name: str | None = None,
    message: str = "",
    author: str = "",
    changes: Sequence[str] = (),
    pause: bool = True,
) -> Image:
    """Make an image of the container's image and what it changed; its cost follows the change.

    A running container is frozen while its files are read, unless `pause` is off. The config is
    the image's, with the command and the like that the container was given, then `changes` in
    Dockerfile's words.
    """
    from lxcpy.images import configs, references

    reference = references.local_name(name) if name else None
    container = host.containers.load(key)
    parent = images.image_store(host).find(container.image_id)
    base = parent.config if parent else {}
    config = configs.apply_changes(_config(container, base), changes)
    with host.containers.lock(key), _frozen(host, key) if pause else nullcontext():
        layer = _add_layer(host, container)
    store = images.layer_store(host)
    layers = [*(store.get(diff_id) for diff_id in container.layers), layer]
    entry = {"created": kernel.now(), "created_by": " ".join(container.argv), "comment": message}
    history = [*base.get("history", ()), entry]
    return images.register(host, layers, config, history=history, name=reference, author=author)


def _config(container: Container, base: dict[str, object]) -> dict[str, object]:
    """What a container of the new image starts with: as docker, all but the host name."""
    inherited = base.get("config")
    config = dict(inherited) if isinstance(inherited, dict) else {}
    config["Cmd"] = list(container.command)
    config["Env"] = [item for item in container.env if not item.startswith("HOSTNAME=")]
    config["Entrypoint"] = list(container.entrypoint) or None
    config["User"] = container.user
    config["WorkingDir"] = container.workdir
    config["Labels"] = container.labels
    return {key: value for key, value in config.items() if value}


def _add_layer(host: Host, container: Container) -> Layer:
    """Pack the changes and unpack them into a new layer, in one stream: a pipe with two ends."""
    from lxcpy.images import pack

    upper = f"{host.paths.container(container.key)}/upper"
    changes = host.driver.changes(launch.branches(host, container), upper)
    out, into = os.pipe()
    failed: list[LxcpyError] = []

    def write() -> None:
        try:
            with open(into, "wb", buffering=1 << 16) as stream:
                pack.pack(upper, changes, stream)
        except LxcpyError as error:
            failed.append(error)
        except BrokenPipeError:
            pass  # the reader has the reason

    packer = threading.Thread(target=write)
    packer.start()
    try:
        with open(out, "rb", buffering=0) as stream:
            return images.layer_store(host).add(stream)
    except LxcpyError as error:
        packer.join()
        raise (failed[0] if failed else error) from error  # what came after is a tar cut short
    finally:
        packer.join()


@contextmanager
def _frozen(host: Host, key: str) -> Iterator[None]:
    """Freeze a container if it runs; should we die, a guard that waits for our end thaws it."""
    if not lifecycle.state(host, key).pid:
        yield
        return
    where = ["-P", host.paths.containers, "-n", key]
    out, into = os.pipe()
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        argv = ["sh", "-c", 'cat; exec lxc-unfreeze "$@"', "thaw", *where]
        guard = shell.spawn(argv, {0: out, 1: null, 2: null}, session=True)
    finally:
        os.close(out)
        os.close(null)
    try:
        if shell.status(["lxc-freeze", *where]) != 0 and lifecycle.state(host, key).pid:
            raise LxcpyError(
                f"cannot pause container {key}", hint="commit --pause=false goes without"
            )
        yield
    finally:
        os.close(into)
        os.waitpid(guard, 0)
