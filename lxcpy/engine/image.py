"""Images: import, bootstrap, list, tag, remove."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from lxcpy import kernel, shell, state
from lxcpy.engine.host import Host
from lxcpy.errors import InUseError, LxcpyError
from lxcpy.images.layers import LayerStore
from lxcpy.images.store import ImageStore
from lxcpy.images.streams import Readable
from lxcpy.model import Image, Layer

Progress = Callable[[int], None]  # called with the number of bytes that were just read


def layer_store(host: Host) -> LayerStore:
    return LayerStore(host.paths.layers, host.paths.scratch, host.driver)


def image_store(host: Host) -> ImageStore:
    return ImageStore(host.paths.images)


def lock(host: Host) -> AbstractContextManager[None]:
    """Held for changes of the image store, never while a layer is unpacked."""
    return state.lock(f"{host.paths.locks}/images", what="the image store")


def get(host: Host, reference: str) -> Image:
    """The image of a name, an id or a unique prefix of one; NotFoundError when there is none."""
    return image_store(host).resolve(reference)


def all_images(host: Host) -> list[Image]:
    """Every image, newest first."""
    images = image_store(host).all()
    return sorted(images, key=lambda image: str(image.config.get("created", "")), reverse=True)


def size(host: Host, image: Image) -> int:
    """Bytes of all its layers together; what other images share is counted too."""
    store = layer_store(host)
    return sum(store.get(diff_id).size for diff_id in image.layers)


@dataclass(frozen=True)
class Removed:
    """What `remove` did, in docker's two words."""

    untagged: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()  # image ids


def import_image(
    host: Host,
    source: str,
    *,
    name: str | None = None,
    changes: Sequence[str] = (),
    message: str = "",
    progress: Progress | None = None,
) -> Image:
    """Make an image of a tar, plain or compressed: a file, a URL (http, https, ftp), or `-`.

    Raises LxcpyError for a bad name or change before anything is read, and for an archive that is
    damaged or would write outside the image; nothing is left behind then.
    """
    from lxcpy.images import compression, configs

    reference = _local_name(name)
    config = configs.apply_changes({}, changes)
    with _opened(source) as fd, compression.decompressed(fd) as stream:
        layer = layer_store(host).add(_Counted(stream, progress) if progress else stream)
    origin = "-" if source == "-" else os.path.basename(source)
    history = {"created": kernel.now(), "comment": message or f"Imported from {origin}"}
    return register(host, [layer], config, history=[history], name=reference)


def bootstrap_busybox(host: Host, name: str | None = "busybox") -> Image:
    """Make a base image of the host's static busybox, offline; always the same one."""
    import io

    from lxcpy.images import bootstrap

    reference = _local_name(name)
    tree = io.BytesIO()
    bootstrap.busybox_tree(tree)
    tree.seek(0)
    layer = layer_store(host).add(tree)
    history = {"created": bootstrap.CREATED, "created_by": "lxcpy bootstrap busybox"}
    return register(host, [layer], bootstrap.CONFIG, history=[history], name=reference)


def register(
    host: Host,
    layers: Sequence[Layer],
    config: state.Record,
    *,
    history: list[state.Record],
    name: str | None,
    author: str = "",
) -> Image:
    """Store an image of these layers (bottom first) and give it its name."""
    from lxcpy.images import configs

    diff_ids = [layer.diff_id for layer in layers]
    created = history[-1]["created"]
    whole = configs.new_config(
        diff_ids, config=config, history=history, author=author, created=created
    )
    with lock(host):
        for layer in layers:
            if layer_store(host).find(layer.diff_id) is None:
                raise LxcpyError("a layer was removed in the meantime", hint="try again")
        store = image_store(host)
        image_id = store.add(configs.serialise(whole))
        if name:
            store.tag(image_id, name)
        return store.get(image_id)


def tag(host: Host, source: str, name: str) -> None:
    """Give an image one more name; the name leaves the image that had it."""
    reference = _local_name(name)
    assert reference
    with lock(host):
        store = image_store(host)
        store.tag(store.resolve(source).id, reference)


def remove(host: Host, text: str, *, force: bool = False) -> Removed:
    """Remove a name, and with the last one the image and the layers that nothing else needs.

    InUseError when a container is made of it, or when an id has several names, unless `force`.
    """
    with lock(host):
        store = image_store(host)
        image = store.resolve(text)
        by_id = image.id.startswith(text.removeprefix("sha256:"))
        if by_id and len(image.names) > 1 and not force:
            raise InUseError(
                f"image {text} has {len(image.names)} names: {', '.join(image.names)}",
                hint="remove the names one by one, or use -f",
            )
        names = image.names if by_id else (str(_local_name(text)),)
        last = set(names) >= set(image.names)
        if last and not force:
            _require_unused(host, image, text)
        for name in names:
            store.untag(name)
        if not last:
            return Removed(untagged=names)
        store.delete(image.id)
        _remove_unused_layers(host, image.layers)
        return Removed(untagged=names, deleted=(image.id,))


def _require_unused(host: Host, image: Image, text: str) -> None:
    for container in host.containers.load_all()[0]:
        if container.image_id == image.id:
            raise InUseError(
                f"image {text} is used by container {container.key}",
                hint=f"remove it first: lxcpy rm {container.key}; or use -f",
            )


def _remove_unused_layers(host: Host, candidates: Sequence[str]) -> None:
    images, damaged = image_store(host).load_all()
    containers, unreadable = host.containers.load_all()
    if damaged or unreadable:
        return  # who knows what those are made of: better a layer too many
    needed = {diff_id for image in images for diff_id in image.layers}
    needed.update(diff_id for container in containers for diff_id in container.layers)
    for diff_id in candidates:
        if diff_id not in needed:
            layer_store(host).delete(diff_id)


def _local_name(name: str | None) -> str | None:
    from lxcpy.images import references

    return references.local_name(name) if name else None


@contextmanager
def _opened(source: str) -> Iterator[int]:
    """A descriptor of the source of an import."""
    if source == "-":
        if os.isatty(0):
            raise LxcpyError("refusing to read a tar from a terminal", hint="use < FILE or a pipe")
        yield 0
        return
    if source.partition("://")[0] in ("http", "https", "ftp"):
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        argv = ["curl", "--fail", "--silent", "--show-error", "--location", "--", source]
        try:
            with shell.reading(argv, null) as fd:
                yield fd
        finally:
            os.close(null)
        return
    try:
        fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise LxcpyError(f"cannot read {source}: {error.strerror}") from error
    try:
        yield fd
    finally:
        os.close(fd)


class _Counted:
    """A stream that tells how much of it was read."""

    def __init__(self, stream: Readable, progress: Progress) -> None:
        self.stream = stream
        self.progress = progress

    def read(self, size: int, /) -> bytes:
        data = self.stream.read(size)
        self.progress(len(data))
        return data
