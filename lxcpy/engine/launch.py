"""What a start needs: the root's branches, identity, network, the rendered files, the monitor."""

import os
import signal
from typing import TYPE_CHECKING, NoReturn

from lxcpy import kernel, paths, shell, state
from lxcpy.containers import states, users
from lxcpy.engine.connection import Connection
from lxcpy.engine.host import Host
from lxcpy.errors import EXIT_FAILURE, LxcpyError, StartError
from lxcpy.model import Container, Mount
from lxcpy.storage.union import Union, view

if TYPE_CHECKING:
    from lxcpy.lxc import config

START_TIMEOUT_S = 60.0  # a start takes 20 ms; LXC 5.0 can hang for ever (a hostile seccomp profile)
FILE_LIMIT = 1 << 20  # bytes of an image's passwd or group file that are read
PLACEHOLDERS = {"": 0o755, "dev": 0o755, "proc": 0o555, "sys": 0o555, "etc": 0o755}
RENDERED = ("hosts", "hostname", "resolv.conf")  # bound over the files of these names in /etc
INIT_TARGET = "/dev/.lxcpy-init"  # on the container's own tmpfs: no file in any branch
TINI_TARGET = "/dev/.lxcpy-tini"
TINI = "/usr/bin/tini-static"


def check(host: Host, container: Container, below: list[str]) -> None:
    """Find out before anything is made what would fail later; `below` as in `branches`."""
    users.identify(container.user, *user_files(Union(host.driver, below[1:])))
    shell.find("lxc-start")
    if container.init and not os.path.exists(TINI):
        raise LxcpyError("--init needs tini-static", hint="apt-get install tini")
    if container.tty:
        paths.init_program()


def branches(host: Host, container: Container) -> list[str]:
    """The branches below the writable one, top first: the placeholders, then the image's layers.

    It reads a record for each layer: a verb asks once and passes the answer on.
    """
    from lxcpy.engine.image import layer_store

    store = layer_store(host)
    layers = [store.get(diff_id).fs for diff_id in reversed(container.layers)]
    return [f"{host.paths.container(container.key)}/init", *layers]


def container_files(host: Host, container: Container, below: list[str]) -> Union:
    """A view of a container's files without mounting them."""
    return view(host.driver, below, f"{host.paths.container(container.key)}/upper")


def prepare_root(host: Host, container: Container, below: list[str]) -> None:
    """Fill the placeholder branch, and what the driver wants before the first mount.

    The placeholders lie on top of the image: LXC refuses a symbolic link in place of /dev or
    /etc/hosts, and follows one in a mount target on the host (LXC 5.0.2).
    """
    directory = host.paths.container(container.key)
    files = Union(host.driver, below[1:])
    for name, mode in PLACEHOLDERS.items():
        there = f"{directory}/init/{name}".rstrip("/")
        os.makedirs(there, exist_ok=True)
        image = files.lookup(f"/{name}")
        if image and not os.path.islink(image) and os.path.isdir(image):
            found = os.lstat(image)
            os.chown(there, found.st_uid, found.st_gid)
            mode = found.st_mode & 0o7777
        os.chmod(there, mode)
    for name in RENDERED:
        os.close(os.open(f"{directory}/init/etc/{name}", os.O_CREAT | os.O_EXCL, 0o644))
    host.driver.prepare(below, f"{directory}/upper", f"{directory}/work")


def sweep(host: Host, key: str) -> None:
    """Remove what a killed monitor left: an LXC that it could not take along, its cgroups.

    The caller holds the container's lock and knows that no monitor lives.
    """
    from lxcpy.lxc import tools

    if tools.is_running_socket(key, host.paths.containers):
        shell.status(["lxc-stop", "--kill", "-P", host.paths.containers, "-n", key])
    tools.sweep_cgroups(key)


def start(
    host: Host, container: Container, link: Connection, *, wants: bytes, size: tuple[int, int]
) -> None:
    """Prepare everything, let the monitor go, and wait for LXC's word; the caller holds the lock.

    StartError says why the payload does not run; start.json then holds the reason too.
    """
    from lxcpy.engine import networking
    from lxcpy.lxc import config

    directory = host.paths.container(container.key)
    if os.path.exists(f"{directory}/start.json"):
        sweep(host, container.key)
    below = branches(host, container)
    files = container_files(host, container, below)
    who = users.identify(container.user, *user_files(files))
    _make_workdir(files, container, who)
    mount = root_mount(host, container, below)
    script = config.render_mount_script(
        container.key, mount, f"{directory}/rootfs", cache_dir=host.paths.cache
    )
    state.write_file(f"{directory}/mount.sh", os.fsencode(script), mode=0o700, durable=False)
    with networking.connected(host, container) as link_up:
        rendered = _render(host, container, who=who, network=link_up.network)
        state.write_file(f"{directory}/config", os.fsencode(rendered.text), durable=False)
        record = {
            "started_at": kernel.now(),
            "boot_id": kernel.boot_id(),
            "address": link_up.address,
        }
        state.write_record(f"{directory}/start.json", record, durable=not container.auto_remove)
        os.makedirs(host.paths.run(container.key), mode=0o700, exist_ok=True)
        items = {
            "directory": directory,
            "run": host.paths.run(container.key),
            "started_at": record["started_at"],
            "lease": link_up.lease,
            "tty": str(int(container.tty)),
            "stdin": str(int(container.open_stdin)),
            "durable": str(int(not container.auto_remove)),
            "wants": wants.decode(),
            "size": f"{size[0]} {size[1]}",
        }
        link.send(b"S", _settings(host, container, items, rendered))
        try:
            _await_start(host, container, link)
        except StartError as error:
            failure = {**record, "error": error.message, "exit_code": error.exit_code}
            state.write_record(f"{directory}/start.json", failure, durable=False)
            raise


def user_files(files: Union) -> tuple[bytes, bytes]:
    return (
        files.read("/etc/passwd", FILE_LIMIT) or b"",
        files.read("/etc/group", FILE_LIMIT) or b"",
    )


def _make_workdir(files: Union, container: Container, who: users.Identity) -> None:
    """A working directory that is missing is made, as docker does; LXC would refuse to start."""
    if files.resolve(container.workdir)[1] is None:
        files.make_directory(container.workdir, uid=who.uid, gid=who.gid)


def root_mount(host: Host, container: Container, below: list[str]) -> Mount:
    directory = host.paths.container(container.key)
    return host.driver.mount(
        below,
        f"{directory}/upper",
        f"{directory}/work",
        f"{directory}/rootfs",
    )


def _render(
    host: Host, container: Container, *, who: users.Identity, network: "config.Network"
) -> "config.Rendered":
    from lxcpy.lxc import config

    directory = host.paths.container(container.key)
    env = dict(item.split("=", 1) for item in container.env)
    env.setdefault("HOME", who.home)
    binds = [
        config.Bind(f"{directory}/{name}", f"/etc/{name}", readonly=False, directory=False)
        for name in RENDERED
    ]
    binds.append(config.Bind(paths.init_program(), INIT_TARGET, readonly=True, directory=False))
    if container.init:
        binds.append(config.Bind(TINI, TINI_TARGET, readonly=True, directory=False))
    return config.render(
        config.Config(
            key=container.key,
            title=host.containers.name(container.key),
            hostname=container.hostname,
            rootfs=f"{directory}/rootfs",
            mount_script=f"{directory}/mount.sh",
            halt_signal=container.stop_signal,
            env=tuple(env.items()),
            uid=who.uid,
            gid=who.gid,
            groups=who.groups,
            workdir=container.workdir,
            seccomp_profile=paths.template("seccomp.policy"),
            cgroup_version=2 if kernel.is_cgroup2() else 1,
            binds=tuple(binds),
            network=network,
            extra=container.lxc_conf,
        ),
        cache_dir=host.paths.cache,
    )


def payload_argv(container: Container, *, carries: bool) -> list[str]:
    """The words that LXC executes: lxcpy-init, tini for --init, then the user's.

    lxcpy-init is there for a terminal, and for variables that LXC must not see by their names.
    """
    argv = list(container.argv)
    if container.init:
        argv = [TINI_TARGET, "--", *argv]
    if container.tty or carries:
        argv = [INIT_TARGET, *(["-t"] if container.tty else []), "--", *argv]
    return argv


def _settings(
    host: Host, container: Container, items: dict[str, str], rendered: "config.Rendered"
) -> bytes:
    from lxcpy.lxc import tools

    argv = tools.start_argv(
        container.key,
        host.paths.containers,
        options=rendered.options,
        argv=payload_argv(container, carries=rendered.carries),
    )
    lines = [f"{key}={value}" for key, value in items.items()]
    lines += [f"arg={word}" for word in argv]
    environment = {**shell.ENVIRONMENT, **rendered.environment}
    lines += [f"env={name}={value}" for name, value in environment.items()]
    if container.auto_remove:
        lines += [f"cleanup={word}" for word in cleanup_argv(host, container.key)]
    return b"".join(os.fsencode(line) + b"\0" for line in lines)


def cleanup_argv(host: Host, key: str) -> list[str]:
    """The command by which a monitor removes its `--rm` container when its client is gone."""
    import sys

    where = ["--root", host.paths.root, "--runroot", host.paths.runroot]
    return [sys.executable, "-m", "lxcpy", *where, "rm", "--force", key]


def _await_start(host: Host, container: Container, link: Connection) -> None:
    link.socket.settimeout(START_TIMEOUT_S)
    try:
        frame = link.wait_for(b"R", b"F")
    except TimeoutError as error:
        _kill_monitor(host, container.key)
        raise StartError(
            f"container {container.key} did not start in {START_TIMEOUT_S:.0f} s: LXC hangs"
        ) from error
    link.socket.settimeout(None)
    link.reap()
    if frame is None:
        raise StartError(
            f"container {container.key} did not start: its monitor died",
            hint="look at dmesg: was it killed for want of memory?",
        )
    if frame[0] == b"F":
        _fail(container, frame[1].decode(errors="replace"))


def _kill_monitor(host: Host, key: str) -> None:
    if monitor := states.read(host.paths, key).monitor:
        os.kill(monitor[0], signal.SIGKILL)


def _fail(container: Container, log: str) -> NoReturn:
    from lxcpy.lxc import tools

    code, reason = tools.explain(log)
    hint = None if code != EXIT_FAILURE else "LXC's own words are shown with --debug"
    raise StartError(reason, exit_code=code, hint=hint, details=log)
