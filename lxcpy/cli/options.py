"""Options that several commands share, and what their texts mean."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import typer

from lxcpy.cli import output
from lxcpy.engine.host import Host, open_host
from lxcpy.errors import LxcpyError, NotFoundError

Interactive = Annotated[
    bool, typer.Option("--interactive", "-i", help="Pass standard input on.", show_default=False)
]
Tty = Annotated[bool, typer.Option("--tty", "-t", help="Give it a terminal.", show_default=False)]
Env = Annotated[
    list[str] | None,
    typer.Option("--env", "-e", metavar="NAME[=VALUE]", help="Set a variable, or pass ours on."),
]
EnvFile = Annotated[
    list[str] | None,
    typer.Option("--env-file", metavar="FILE", help="Read variables from a file."),
]
Workdir = Annotated[
    str | None, typer.Option("--workdir", "-w", metavar="DIR", help="Working directory inside.")
]
User = Annotated[
    str | None, typer.Option("--user", "-u", metavar="NAME|UID[:GROUP|GID]", help="Run as.")
]
Containers = Annotated[list[str], typer.Argument(metavar="CONTAINER...", show_default=False)]
Container = Annotated[str, typer.Argument(metavar="CONTAINER", show_default=False)]
Change = Annotated[
    list[str] | None,
    typer.Option(
        "--change", "-c", metavar="INSTRUCTION", help='Set in the image, such as CMD ["sh"].'
    ),
]


def host(ctx: typer.Context) -> Host:
    """The host that the global options name."""
    given = ctx.obj
    return open_host(
        given["root"],
        runroot=given["runroot"],
        bridge=given["bridge"],
        subnet=given["subnet"],
        storage_driver=given["storage_driver"],
    )


def variables(env: Sequence[str] | None, files: Sequence[str] | None) -> tuple[str, ...]:
    """NAME=VALUE items of --env-file and then -e; a bare NAME is taken from our environment."""
    items = [item for path in files or () for item in _env_file(path)]
    found = []
    for item in [*items, *(env or ())]:
        name, equals, _ = item.partition("=")
        if not name:
            raise LxcpyError(f"invalid environment variable {item!r}", hint="give NAME=VALUE")
        if equals:
            found.append(item)
        elif name in os.environ:
            found.append(f"{name}={os.environ[name]}")
    return tuple(found)


def _env_file(path: str) -> Iterable[str]:
    """Lines NAME=VALUE or NAME; comments begin with #, quotes are part of the value (docker's)."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().split("\n")
    except OSError as error:
        raise LxcpyError(f"cannot read the environment file {path}: {error.strerror}") from error
    return [
        line.lstrip().rstrip("\r") for line in lines if line.strip() and line.lstrip()[0] != "#"
    ]


def labels(items: Sequence[str] | None) -> dict[str, str]:
    """KEY=VALUE or KEY."""
    pairs = [item.partition("=") for item in items or ()]
    for key, _, _ in pairs:
        if not key:
            raise LxcpyError("a label has an empty key", hint="give KEY=VALUE")
    return {key: value for key, _, value in pairs}


def for_each(
    texts: Sequence[str], act: Callable[[str], object], *, missing: int = 125, failed: int = 125
) -> int:
    """Act on every argument and print it as it was typed; what fails does not stop the rest.

    The status is `missing` when something did not exist, `failed` for any other failure.
    """
    code = 0
    for text in texts:
        try:
            shown = act(text)
        except LxcpyError as problem:
            output.error(problem)
            code = missing if isinstance(problem, NotFoundError) and code == 0 else failed
        else:
            output.line(text if shown is None else str(shown))
    return code
