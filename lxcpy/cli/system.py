"""Commands on the host."""

from typing import Annotated

import typer

from lxcpy.cli import options, output
from lxcpy.errors import LxcpyError


def info(
    ctx: typer.Context,
    as_json: Annotated[str | None, typer.Option("--format", help="json.", metavar="json")] = None,
) -> None:
    """Tell about the host and this root."""
    from lxcpy.engine import view

    if as_json not in (None, "json"):
        raise LxcpyError(f"unknown format {as_json!r}", hint="json")
    found = view.info(options.host(ctx))
    if as_json:
        output.json(found)
        return
    for key, value in found.items():
        if key != "Warnings":
            output.line(f"{key}: {value}")
    for text in found["Warnings"]:
        output.warning(text)


def version() -> None:
    """Print the versions of lxcpy and of LXC."""
    from lxcpy import __version__
    from lxcpy.engine import view

    output.line(f"lxcpy {__version__}")
    try:
        output.line(f"LXC {view.lxc_version()}")
    except LxcpyError as problem:
        output.error(problem)
