"""Commands on containers."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from lxcpy.cli import options, output
from lxcpy.engine import lifecycle
from lxcpy.engine.host import Host
from lxcpy.errors import EXIT_SIGNAL, LxcpyError
from lxcpy.model import Container, ContainerSpec

if TYPE_CHECKING:
    from lxcpy.engine.view import Row

COMMAND_WIDTH = 22  # docker's column, with both quotes


def run(
    ctx: typer.Context,
    image: Annotated[str, typer.Argument(show_default=False)],
    command: Annotated[list[str] | None, typer.Argument(show_default=False)] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Run in the background and print the id.")
    ] = False,
    interactive: options.Interactive = False,
    tty: options.Tty = False,
    rm: Annotated[bool, typer.Option("--rm", help="Remove it when it has ended.")] = False,
    name: Annotated[str | None, typer.Option(help="Its name; a random one without.")] = None,
    env: options.Env = None,
    env_file: options.EnvFile = None,
    workdir: options.Workdir = None,
    user: options.User = None,
    entrypoint: Annotated[
        str | None, typer.Option(metavar="PROGRAM", help='Instead of the image\'s; "" for none.')
    ] = None,
    hostname: Annotated[str | None, typer.Option("--hostname", "-h", help="Host name.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", "-l", metavar="KEY[=VALUE]", help="A label.")
    ] = None,
    network: Annotated[str, typer.Option(help="bridge, none or host.")] = "bridge",
    init: Annotated[
        bool, typer.Option("--init", help="Run under tini, which reaps zombies.")
    ] = False,
    stop_signal: Annotated[
        str | None, typer.Option(help="What stop sends first.", metavar="SIGNAL")
    ] = None,
    lxc_conf: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A line for the LXC config."),
    ] = None,
    cidfile: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the id to a new file.")
    ] = None,
) -> None:
    """Run a command in a new container of an image.

    What follows IMAGE belongs to the command. The exit status is the command's; 125 when lxcpy
    fails, 126 when the command is no program, 127 when it is not found, 128+N when signal N
    ended it.

    \b
    lxcpy run --rm busybox echo hello
    lxcpy run -it busybox
    lxcpy run -d --name web busybox httpd -f -h /srv
    """
    spec = ContainerSpec(
        image=image,
        command=tuple(command or ()),
        name=name,
        entrypoint=None if entrypoint is None else tuple([entrypoint] if entrypoint else []),
        env=options.variables(env, env_file),
        labels=options.labels(label),
        workdir=workdir,
        user=user,
        hostname=hostname,
        tty=tty,
        open_stdin=interactive,
        auto_remove=rm,
        init=init,
        network=network,
        stop_signal=stop_signal,
        lxc_conf=tuple(lxc_conf or ()),
    )
    if tty and interactive and not detach and not os.isatty(0):
        raise LxcpyError("the input device is not a TTY", hint="leave out -t", exit_code=1)
    host = options.host(ctx)
    note = _cidfile(cidfile)
    if detach:
        container, link = lifecycle.run(host, spec, created=note)
        link.close()
        output.line(container.id)
        return
    raise typer.Exit(_run_attached(host, spec, note))


def _run_attached(host: Host, spec: ContainerSpec, note: lifecycle.Created) -> int:
    from lxcpy.engine import attach

    size = attach.terminal_size(0) if spec.tty else (0, 0)
    container, link = lifecycle.run(host, spec, wants=b"oe", size=size, created=note)
    try:
        code = attach.attach(
            link,
            stdin=0 if spec.open_stdin else None,
            tty=spec.tty,
            send_signal=lambda number: lifecycle.kill(host, container.key, number),
        )
        if code is None:
            output.warning(f"the monitor of container {container.key} was killed")
            code = EXIT_SIGNAL + 9
        if spec.auto_remove:
            lifecycle.remove(host, container.key)
    finally:
        link.close()
    return code


def _cidfile(path: str | None) -> lifecycle.Created:
    """What writes the id to a file that must not exist yet; checked before anything is made."""
    if path is None:
        return None
    if os.path.lexists(path):
        raise LxcpyError(
            f"the container ID file {path} exists", hint="remove it, or give another --cidfile"
        )

    def write(container: Container) -> None:
        try:
            with open(path, "x", encoding="ascii") as file:
                file.write(container.id)
        except OSError as error:
            raise LxcpyError(f"cannot write {path}: {error.strerror}") from error

    return write


def exec_(
    ctx: typer.Context,
    container: options.Container,
    command: Annotated[list[str], typer.Argument(metavar="COMMAND...", show_default=False)],
    detach: Annotated[bool, typer.Option("--detach", "-d", help="In the background.")] = False,
    interactive: options.Interactive = False,
    tty: options.Tty = False,
    env: options.Env = None,
    env_file: options.EnvFile = None,
    workdir: options.Workdir = None,
    user: options.User = None,
) -> None:
    """Run one more command in a running container; its exit status is ours.

    \b
    lxcpy exec web ps
    lxcpy exec -it web sh
    """
    from lxcpy.engine import process

    spec = process.ExecSpec(
        argv=tuple(command),
        env=options.variables(env, env_file),
        workdir=workdir,
        user=user,
        tty=tty,
        stdin=interactive,
    )
    if tty and not detach and not os.isatty(0 if interactive else 1):
        raise LxcpyError("the input device is not a TTY", hint="leave out -t", exit_code=1)
    host = options.host(ctx)
    key = host.containers.get(container)
    if detach:
        process.detach(host, key, spec)
        return
    raise typer.Exit(process.run(host, key, spec))


def ps(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", "-a", help="Stopped ones too.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the ids.")] = False,
    latest: Annotated[bool, typer.Option("--latest", "-l", help="The last one made.")] = False,
    last: Annotated[
        int | None, typer.Option("--last", "-n", help="The last N made.", metavar="N")
    ] = None,
    no_trunc: Annotated[bool, typer.Option("--no-trunc", help="Ids and commands whole.")] = False,
) -> None:
    """List containers: the running ones, newest first."""
    from lxcpy.engine import view

    host = options.host(ctx)
    count = 1 if latest else last
    rows, unreadable = view.containers(host, everything=everything or count is not None)
    rows = rows[:count]
    for text in unreadable:
        output.warning(text)
    if quiet:
        for row in rows:
            output.line(row.container.id if no_trunc else row.container.key)
        return
    header = ("CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES")
    output.table(header, [_ps_cells(row, whole=no_trunc) for row in rows])


def _ps_cells(row: "Row", *, whole: bool) -> tuple[str, ...]:
    from lxcpy.engine import view

    container = row.container
    command = f'"{" ".join(container.argv)}"'
    return (
        container.id if whole else container.key,
        container.image,
        command if whole else output.shorten(command, COMMAND_WIDTH),
        f"{view.span(view.seconds_since(container.created))} ago",
        view.status_line(row.state),
        "",
        row.name,
    )


def logs(ctx: typer.Context, container: options.Container) -> None:
    """Print what a container has written: standard output and error, each to its own."""
    from lxcpy.engine import attach, view

    host = options.host(ctx)
    for piece in view.logs(host, host.containers.get(container)):
        attach.write_all(2 if piece.stream == "stderr" else 1, piece.data)


def stop(
    ctx: typer.Context,
    containers: options.Containers,
    timeout: Annotated[
        float, typer.Option("--time", "-t", help="Seconds until SIGKILL.", min=0)
    ] = lifecycle.STOP_TIMEOUT_S,
) -> None:
    """Stop containers: their stop signal, and SIGKILL to what does not end in time."""
    host = options.host(ctx)

    def act(text: str) -> None:
        lifecycle.stop(host, host.containers.get(text), timeout_s=timeout)

    raise typer.Exit(options.for_each(containers, act))


def kill(
    ctx: typer.Context,
    containers: options.Containers,
    signal: Annotated[str, typer.Option("--signal", "-s", help="Its name or number.")] = "KILL",
) -> None:
    """Send a signal to the first process of containers."""
    number = lifecycle.signal_number(signal)
    host = options.host(ctx)

    def act(text: str) -> None:
        key = host.containers.get(text)
        if number == lifecycle.SIGKILL:
            lifecycle.kill(host, key, number)
            lifecycle.ended(host, key, timeout_s=lifecycle.KILL_TIMEOUT_S)
        else:
            lifecycle.kill(host, key, number)

    raise typer.Exit(options.for_each(containers, act))


def wait(ctx: typer.Context, containers: options.Containers) -> None:
    """Wait until containers have ended, and print their exit codes."""
    host = options.host(ctx)

    def act(text: str) -> int:
        return lifecycle.wait(host, host.containers.get(text))

    raise typer.Exit(options.for_each(containers, act))


def rm(
    ctx: typer.Context,
    containers: options.Containers,
    force: Annotated[bool, typer.Option("--force", "-f", help="Kill what runs.")] = False,
) -> None:
    """Remove containers. Exit status 1 when there was no such one, 2 when one runs."""
    host = options.host(ctx)

    def act(text: str) -> None:
        lifecycle.remove(host, host.containers.get(text), force=force)

    raise typer.Exit(options.for_each(containers, act, missing=1, failed=2))


def inspect(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", show_default=False)],
    kind: Annotated[
        str | None, typer.Option("--type", help="container or image.", metavar="TYPE")
    ] = None,
) -> None:
    """Print all about containers and images as a JSON array, in docker's field names."""
    from lxcpy.engine import view

    if kind not in (None, "container", "image"):
        raise LxcpyError(f"unknown type {kind!r}", hint="container or image")
    host = options.host(ctx)
    found = []
    code = 0
    for name in names:
        try:
            found.append(view.inspect(host, name, kind=kind))
        except LxcpyError as problem:
            output.error(problem)
            code = problem.exit_code
    output.json(found)
    raise typer.Exit(code)


def diff(ctx: typer.Context, container: options.Container) -> None:
    """List what a container changed: A added, C changed, D deleted."""
    from lxcpy.engine import change

    host = options.host(ctx)
    for item in change.diff(host, host.containers.get(container)):
        output.line(f"{item.kind} {item.path}")


def commit(
    ctx: typer.Context,
    container: options.Container,
    name: Annotated[str | None, typer.Argument(metavar="[NAME[:TAG]]", show_default=False)] = None,
    message: Annotated[str, typer.Option("--message", "-m", help="A comment.")] = "",
    author: Annotated[str, typer.Option("--author", "-a", help="Who made it.")] = "",
    changes: options.Change = None,
    pause: Annotated[
        bool, typer.Option("--pause/--no-pause", "-p", help="Freeze it meanwhile.")
    ] = True,
) -> None:
    """Make an image of a container's changes, and print its id."""
    from lxcpy.engine import change

    host = options.host(ctx)
    image = change.commit(
        host,
        host.containers.get(container),
        name=name,
        message=message,
        author=author,
        changes=changes or (),
        pause=pause,
    )
    output.line(f"sha256:{image.id}")


def config(ctx: typer.Context, container: options.Container) -> None:
    """Print the LXC config that a container was started with."""
    from lxcpy.engine import view

    host = options.host(ctx)
    output.raw(view.config_text(host, host.containers.get(container)))
