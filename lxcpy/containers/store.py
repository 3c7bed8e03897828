"""The directories of containers, and the names that point to them.

containers/<key>/   the LXC container's directory; key = the first 12 digits of the id
    spec.json       the container as it was created, written once
    start.json      the last start; exit.json the end of that same start
    config mount.sh hosts hostname resolv.conf   rendered at each start
    init/           empty placeholders on top of the image, so that what LXC must have
                    (/dev, /proc, /sys) and what is mounted over is no change of the container
    upper/ work/ rootfs/   the writable branch, overlayfs's work directory, the mount point
    log lxc.log     the payload's output, and LXC's own words about the last start
names/<name>        a symbolic link to the key: making one is atomic and fails when taken
"""

import os
from contextlib import AbstractContextManager, suppress

from lxcpy import state
from lxcpy.errors import InUseError, LxcpyError, NotFoundError
from lxcpy.model import SHORT_ID, Container
from lxcpy.paths import Paths

NAME_LIMIT = 128
HEX = frozenset("0123456789abcdef")
NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def check_name(name: str) -> None:
    """Podman's rule for names: [a-zA-Z0-9][a-zA-Z0-9_.-]* (docker wants two characters)."""
    fits = 1 <= len(name) <= NAME_LIMIT and set(name) <= NAME and name[0] not in "_.-"
    if not fits:
        raise LxcpyError(
            f"invalid container name {name!r}",
            hint="a name has up to 128 of a-z A-Z 0-9 _ . - and begins with a letter or digit",
        )


def to_record(container: Container) -> state.Record:
    return dict(vars(container))


def from_record(path: str, record: state.Record) -> Container:
    fields: state.Record = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in record.items()
        if key in Container.__dataclass_fields__
    }
    try:
        fields["lxc_conf"] = tuple((key, value) for key, value in fields.get("lxc_conf", ()))
        return Container(**fields)
    except (TypeError, ValueError) as error:
        raise LxcpyError(f"{path} is damaged: {error}") from error


class ContainerStore:
    """All containers of one root."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths

    def lock(self, key: str) -> AbstractContextManager[None]:
        """Whoever starts, removes or changes a container holds this; nobody holds it waiting."""
        return state.lock(self._lock_file(key), what=f"container {key}")

    def _lock_file(self, key: str) -> str:
        return f"{self.paths.locks}/container-{key}"

    def all_keys(self) -> list[str]:
        """Every container; what is half made or half removed has a dot in front."""
        return [key for key in os.listdir(self.paths.containers) if key[0] != "."]

    def names(self) -> dict[str, str]:
        """key -> name."""
        there = {}
        for name in os.listdir(self.paths.names):
            if (key := self._key_of(name)) is not None:
                there[key] = name
        return there

    def name(self, key: str) -> str:
        return self.names().get(key, "")

    def _key_of(self, name: str) -> str | None:
        try:
            return os.readlink(f"{self.paths.names}/{name}")
        except OSError:
            return None

    def find(self, text: str) -> str | None:
        """The key for a name, an id or a unique prefix of one; a name wins over a prefix."""
        if set(text) <= NAME and text not in ("", ".", ".."):
            key = self._key_of(text)
            if key and self.exists(key):
                return key
        if not text or not set(text) <= HEX:
            return None
        found = [key for key in self.all_keys() if key.startswith(text[:SHORT_ID])]
        if len(text) > SHORT_ID:
            found = [key for key in found if self.load(key).id.startswith(text)]
        if len(found) > 1:
            raise LxcpyError(
                f"container id prefix {text} is ambiguous: {len(found)} containers begin with it",
                hint="give more digits, or the name",
            )
        return found[0] if found else None

    def get(self, text: str) -> str:
        """Like `find`, but NotFoundError when there is none."""
        key = self.find(text)
        if key is None:
            raise NotFoundError(f"No such container: {text}", hint="lxcpy ps -a lists them all")
        return key

    def exists(self, key: str) -> bool:
        return os.path.exists(f"{self.paths.container(key)}/spec.json")

    def load(self, key: str) -> Container:
        path = f"{self.paths.container(key)}/spec.json"
        record = state.read_record(path)
        if record is None:
            raise NotFoundError(f"No such container: {key}")
        return from_record(path, record)

    def load_all(self) -> tuple[list[Container], list[LxcpyError]]:
        """Every container, and the reasons why some cannot be read."""
        containers: list[Container] = []
        errors: list[LxcpyError] = []
        for key in self.all_keys():
            try:
                containers.append(self.load(key))
            except NotFoundError:
                pass  # removed in between
            except LxcpyError as error:
                errors.append(error)
        return containers, errors

    def add(self, container: Container, name: str | None, *, durable: bool) -> str:
        """Make the directory of a new container and claim its name (or find one); the name.

        The directory is complete when it appears under its key. The name is claimed first: a name
        without its directory is nobody's and is taken by the next who asks for it.
        """
        draft = f"{self.paths.scratch}/{container.key}"
        try:
            for part in ("", "/init", "/upper", "/work", "/rootfs"):
                os.mkdir(draft + part, 0o755 if part in ("/init", "/upper") else 0o700)
            spec = to_record(container)
            state.write_record(f"{draft}/spec.json", spec, durable=durable)
            with state.lock(f"{self.paths.locks}/names", what="the list of names"):
                claimed = self._claim(name, container.key)
                os.rename(draft, self.paths.container(container.key))
            if durable:
                state.sync_directory(self.paths.containers)
        except OSError as error:
            delete_tree(draft)
            raise LxcpyError(f"cannot create a container: {error.strerror}") from error
        except BaseException:
            delete_tree(draft)
            raise
        return claimed

    def _claim(self, name: str | None, key: str) -> str:
        if name is None:
            from lxcpy.containers.names import suggest

            name = next(found for found in suggest() if not self._taken(found))
        elif owner := self._taken(name):
            raise InUseError(
                f"the container name {name} is already in use by container {owner}",
                hint=f"remove that container (lxcpy rm {name}) or take another name",
            )
        link = f"{self.paths.names}/{name}"
        with suppress(FileNotFoundError):
            os.unlink(link)
        os.symlink(key, link)
        return name

    def _taken(self, name: str) -> str | None:
        key = self._key_of(name)
        return key if key and self.exists(key) else None

    def remove(self, key: str) -> None:
        """Delete a stopped container; the caller holds its lock.

        The rename takes it out of every list at once; a removal that was cut short is finished by
        the next one.
        """
        name = self.name(key)
        doomed = f"{self.paths.containers}/.{key}"
        os.rename(self.paths.container(key), doomed)
        with state.lock(f"{self.paths.locks}/names", what="the list of names"):
            if name and self._key_of(name) == key:
                os.unlink(f"{self.paths.names}/{name}")
        state.discard_lock(self._lock_file(key))
        delete_tree(doomed)
        for left in os.listdir(self.paths.containers):
            if left[0] == ".":
                with suppress(LxcpyError):
                    delete_tree(f"{self.paths.containers}/{left}")


def delete_tree(path: str) -> None:
    """Delete a directory with all below it; what cannot go is an error after all else went."""
    import shutil

    failed: list[str] = []

    def note(_function: object, name: str, info: tuple[object, BaseException, object]) -> None:
        if not isinstance(info[1], FileNotFoundError):  # somebody else deletes it too
            failed.append(name)

    shutil.rmtree(path, onerror=note)
    if failed:
        raise LxcpyError(
            f"cannot delete {failed[0]}",
            hint="an immutable file? chattr -R -i the directory, then remove again",
        )
