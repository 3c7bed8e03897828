"""Commands on images."""

from typing import Annotated

import typer

from lxcpy.cli import options, output
from lxcpy.engine import image as images
from lxcpy.errors import LxcpyError

Name = Annotated[str | None, typer.Argument(metavar="[NAME[:TAG]]", show_default=False)]


def images_(
    ctx: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the ids.")] = False,
    no_trunc: Annotated[bool, typer.Option("--no-trunc", help="Ids whole.")] = False,
) -> None:
    """List images, newest first."""
    from lxcpy.engine import view

    host = options.host(ctx)
    rows = []
    for image in images.all_images(host):
        shown = f"sha256:{image.id}" if no_trunc else image.id[:12]
        if quiet:
            output.line(shown)
            continue
        created = f"{view.span(view.seconds_since(image.config['created']))} ago"
        size = output.size(images.size(host, image))
        for name in image.names or ("<none>:<none>",):
            repository, _, tag = name.rpartition(":")
            rows.append((repository, tag, shown, created, size))
    if not quiet:
        output.table(("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"), rows)


def import_(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="FILE|URL|-", show_default=False)],
    name: Name = None,
    changes: options.Change = None,
    message: Annotated[str, typer.Option("--message", "-m", help="A comment.")] = "",
) -> None:
    """Make an image of a tar (plain, gz, xz, zst or bz2), and print its id.

    \b
    lxcpy import rootfs.tar.xz debian:12
    tar -C rootfs -c . | lxcpy import - mine -c 'CMD ["/bin/sh"]'
    """
    host = options.host(ctx)
    with output.progress(f"importing {source}") as progress:
        image = images.import_image(
            host, source, name=name, changes=changes or (), message=message, progress=progress
        )
    output.line(f"sha256:{image.id}")


def bootstrap(
    ctx: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="busybox", show_default=False)],
    name: Name = "busybox",
) -> None:
    """Make a base image, offline, of the host's own static busybox; print its id."""
    if kind != "busybox":
        raise LxcpyError(f"cannot bootstrap {kind!r}", hint="busybox is what lxcpy can make")
    image = images.bootstrap_busybox(options.host(ctx), name)
    output.line(f"sha256:{image.id}")


def tag(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="IMAGE", show_default=False)],
    name: Annotated[str, typer.Argument(metavar="NAME[:TAG]", show_default=False)],
) -> None:
    """Give an image one more name."""
    images.tag(options.host(ctx), source, name)


def rmi(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="IMAGE...", show_default=False)],
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Also when containers are made of it.")
    ] = False,
) -> None:
    """Remove names of images; an image goes with its last one. Exit status 1: none, 2: in use."""
    host = options.host(ctx)

    def act(text: str) -> str:
        gone = images.remove(host, text, force=force)
        lines = [f"Untagged: {name}" for name in gone.untagged]
        return "\n".join(lines + [f"Deleted: sha256:{image}" for image in gone.deleted])

    raise typer.Exit(options.for_each(names, act, missing=1, failed=2))
