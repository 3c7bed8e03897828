"""The command line: finds the command, loads it alone, prints what goes wrong, sets the exit code.

A command's module is imported only when that command is asked for: loading all of them would cost
more than a container's start.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand

from lxcpy.cli import output
from lxcpy.errors import EXIT_FAILURE, EXIT_SIGNAL, LxcpyError

# Every command and its function, in the order of the help text.
COMMANDS = {
    "run": "container:run",
    "exec": "container:exec_",
    "ps": "container:ps",
    "logs": "container:logs",
    "stop": "container:stop",
    "kill": "container:kill",
    "wait": "container:wait",
    "rm": "container:rm",
    "inspect": "container:inspect",
    "diff": "container:diff",
    "commit": "container:commit",
    "config": "container:config",
    "images": "image:images_",
    "import": "image:import_",
    "bootstrap": "image:bootstrap",
    "tag": "image:tag",
    "rmi": "image:rmi",
    "info": "system:info",
    "version": "system:version",
}
PAYLOAD = ("run", "exec")  # after their first argument, everything belongs to the payload
TAKES_VALUE = ("--root", "--runroot", "--bridge", "--subnet", "--storage-driver")
# click's, which typer 0.28 carries under a name of its own
UsageError: type[Exception] = typer.BadParameter.__bases__[0]


class Command(TyperCommand):
    """A command whose boolean options also take a value, as docker's do: `--rm=false`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(self._plain(ctx, args)))

    def _plain(self, ctx: Any, args: list[str]) -> Iterable[str]:
        options = {name: o for o in self.params for name in getattr(o, "opts", ())}
        words = iter(args)
        for word in words:
            if word == "--" or (not _is_option(word) and not ctx.allow_interspersed_args):
                yield word
                yield from words
                return
            before, name, equals, value = _split(word, options)
            option = options.get(name)
            if equals and option is not None and not _wants_value(option):
                yield from [before] if before else []
                yield from _flag(ctx, name, value, option)
                continue
            yield word
            if not equals and not value and _wants_value(option):
                yield from (word for word in [next(words, None)] if word is not None)


def _is_option(word: str) -> bool:
    return word[:1] == "-" and len(word) > 1


def _split(word: str, options: dict[str, Any]) -> tuple[str, str, str, str]:
    """The last option of a word: what stands before it, its name, "=" or nothing, its value.

    `-itw=/x` is `-it`, `-w`, and `/x`; a letter that takes a value takes the rest of the word.
    """
    if not _is_option(word):
        return "", "", "", ""
    if word[:2] == "--":
        return "", *word.partition("=")
    for at in range(1, len(word)):
        equals, value = word[at + 1 : at + 2], word[at + 1 :]
        if equals == "=" or not value or _wants_value(options.get(f"-{word[at]}")):
            equals = "=" if equals == "=" else ""
            before = word[:at] if at > 1 else ""
            return before, f"-{word[at]}", equals, value.removeprefix("=")
    raise AssertionError(word)


def _wants_value(option: Any) -> bool:
    return option is not None and not getattr(option, "is_flag", False)


def _flag(ctx: Any, name: str, value: str, option: Any) -> list[str]:
    """`--flag=VALUE` in the words that click has for it."""
    if value.lower() in ("true", "t", "1"):
        return [name]
    if value.lower() in ("false", "f", "0"):
        return list(option.secondary_opts[:1])
    raise UsageError(f'invalid argument "{value}" for {name}: give true or false', ctx)


def build(names: Iterable[str]) -> typer.Typer:
    """A Typer app with these commands."""
    app = typer.Typer(
        name="lxcpy",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help"]},
    )
    app.callback()(settings)
    for name in names:
        module, _, function = COMMANDS[name].partition(":")
        act = getattr(import_module(f"lxcpy.cli.{module}"), function)
        context = {"allow_interspersed_args": name not in PAYLOAD}
        app.command(name, cls=Command, context_settings=context)(act)
    return app


def settings(
    ctx: typer.Context,
    root: Annotated[
        str | None, typer.Option(help="Directory of images and containers.", metavar="DIR")
    ] = None,
    runroot: Annotated[
        str | None, typer.Option(help="Directory of what a reboot ends.", metavar="DIR")
    ] = None,
    bridge: Annotated[
        str | None, typer.Option(help="Bridge of the default network.", metavar="NAME")
    ] = None,
    subnet: Annotated[
        str | None, typer.Option(help="Its subnet, at its first use.", metavar="CIDR")
    ] = None,
    storage_driver: Annotated[
        str | None, typer.Option(help="overlay, aufs or copy, at the first use of a root.")
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", "-D", help="Show what is run, and whole tracebacks.")
    ] = False,
) -> None:
    """Containers on a plain LXC host: images, copy-on-write roots, logs and commits, no daemon.

    \b
    lxcpy bootstrap busybox            make a first image
    lxcpy run --rm busybox echo hello  run a command in a container of it
    lxcpy run -it busybox              a throwaway shell

    Settings come from the options here, else from LXCPY_ROOT, LXCPY_RUNROOT, LXCPY_BRIDGE,
    LXCPY_SUBNET and LXCPY_STORAGE_DRIVER.
    """
    given = dict(
        root=root,
        runroot=runroot,
        bridge=bridge,
        subnet=subnet,
        storage_driver=storage_driver,
    )
    ctx.obj = given


def find_command(words: Sequence[str]) -> str | None:
    """The command in a command line: the first word that is no global option, nor its value."""
    waiting = False
    for word in words:
        if waiting:
            waiting = False
        elif word in TAKES_VALUE:
            waiting = True
        elif word[:1] != "-":
            return word if word in COMMANDS else None
    return None


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and exit with its status."""
    words = sys.argv[1:] if words is None else words
    _open_standard_streams()
    debug = "-D" in words or "--debug" in words
    if debug:
        _log_to_stderr()
    command = find_command(words)
    completing = "_LXCPY_COMPLETE" in os.environ
    app = build([command] if command and not completing else COMMANDS)
    try:
        code = app(words, prog_name="lxcpy", standalone_mode=False)
    except LxcpyError as problem:
        output.error(problem, debug=debug)
        code = problem.exit_code
    except UsageError as problem:
        code = _usage(problem)
    except (typer.Abort, KeyboardInterrupt):
        code = EXIT_SIGNAL + 2
    except typer.Exit as wanted:
        code = wanted.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python complains once more at its end
        code = EXIT_SIGNAL + 13
    except Exception as bug:
        if debug:
            raise
        output.error(
            LxcpyError(
                f"{type(bug).__name__}: {bug}",
                hint="this is a bug in lxcpy; run it again with --debug and report it",
            )
        )
        code = EXIT_FAILURE
    sys.exit(code or 0)


def _usage(problem: Any) -> int:
    """A wrong command line, in docker's two lines."""
    text = problem.format_message().rstrip(".")
    if hasattr(problem, "option_name") and text.startswith("No such option"):
        text = f"unknown flag: {problem.option_name}"
    text = text[:1].lower() + text[1:]
    where = problem.ctx.command_path if problem.ctx else "lxcpy"
    print(f"Error: {output.safe(text)}\nSee '{where} --help'", file=sys.stderr)  # noqa: T201
    return EXIT_FAILURE


def _open_standard_streams() -> None:
    """Cron jobs may start with closed streams; what is opened next must not become one of them."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _log_to_stderr() -> None:
    import logging

    logging.basicConfig(level=logging.DEBUG, format="%(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("sh").setLevel(logging.WARNING)
