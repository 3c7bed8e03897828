import os
from collections.abc import Iterable
from typing import Annotated, Any

import pytest
import typer

from lxcpy.cli import app
from lxcpy.errors import LxcpyError, NotFoundError

Given = dict[str, Any]


def small_app(given: Given, *, payload: bool) -> typer.Typer:
    """An app of two commands, one of which notes what it was given."""
    small = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)

    @small.command(
        "take", cls=app.Command, context_settings={"allow_interspersed_args": not payload}
    )
    def take(
        words: Annotated[list[str] | None, typer.Argument()] = None,
        rm: Annotated[bool, typer.Option("--rm")] = False,
        interactive: Annotated[bool, typer.Option("--interactive", "-i")] = False,
        tty: Annotated[bool, typer.Option("--tty", "-t")] = False,
        pause: Annotated[bool, typer.Option("--pause/--no-pause")] = True,
        env: Annotated[list[str] | None, typer.Option("--env", "-e")] = None,
        name: Annotated[str | None, typer.Option("--name", "-n")] = None,
    ) -> None:
        given.update(words=words or [], rm=rm, interactive=interactive, tty=tty, pause=pause,
                     env=env or [], name=name)  # fmt: skip

    @small.command("fail")
    def fail(kind: str) -> None:
        errors: dict[str, BaseException] = {
            "lxcpy": LxcpyError("it broke\x1b", hint="mend it", details="line\x1b[1m", exit_code=3),
            "missing": NotFoundError("No such container: x"),
            "bug": KeyError("x"),
            "interrupt": KeyboardInterrupt(),
            "exit": typer.Exit(42),
        }
        raise errors[kind]

    return small


def parse(words: Iterable[str], *, payload: bool = False) -> Given:
    given: Given = {}
    small_app(given, payload=payload)(["take", *words], standalone_mode=False)
    return given


def differing(words: Iterable[str], *, payload: bool = False) -> Given:
    """What these words change from the defaults."""
    plain = parse([])
    return {
        key: value for key, value in parse(words, payload=payload).items() if plain[key] != value
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], None),
        (["ps"], "ps"),
        (["--root", "/x", "ps", "-a"], "ps"),
        (["--root", "run", "ps"], "ps"),
        (["--root=run", "ps"], "ps"),
        (["-D", "--bridge", "b", "run", "busybox", "ps"], "run"),
        (["--help"], None),
        (["none", "ps"], None),
        (["--root"], None),
    ],
)
def test_find_command(words: list[str], expected: str | None) -> None:
    assert expected == app.find_command(words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--rm"], {"rm": True}),
        (["--rm=true"], {"rm": True}),
        (["--rm=1"], {"rm": True}),
        (["--rm=false"], {}),
        (["--rm=F"], {}),
        (["--pause=false"], {"pause": False}),
        (["--pause=true"], {}),
        (["-it"], {"interactive": True, "tty": True}),
        (["-t=true"], {"tty": True}),
        (["-t=false"], {}),
        (["-it=false"], {"interactive": True}),
        (["-ite", "A=t"], {"interactive": True, "tty": True, "env": ["A=t"]}),
        (["-iteA=t"], {"interactive": True, "tty": True, "env": ["A=t"]}),
        (["-eA=it"], {"env": ["A=it"]}),
        (["-eAt=it"], {"env": ["At=it"]}),
        (["-ename", "--rm=false"], {"env": ["name"]}),
        (["-e", "--rm=false"], {"env": ["--rm=false"]}),
        (["--env", "--rm=false"], {"env": ["--rm=false"]}),
        (["--env=--rm=false", "-nx"], {"env": ["--rm=false"], "name": "x"}),
        (["word", "--rm=true"], {"words": ["word"], "rm": True}),
        (["a=t", "-"], {"words": ["a=t", "-"]}),
        (["--", "--rm=false", "-t=x"], {"words": ["--rm=false", "-t=x"]}),
    ],
)
def test_options_take_values_as_dockers_do(words: list[str], expected: Given) -> None:
    assert expected == differing(words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["image", "--rm=false", "-it"], {"words": ["image", "--rm=false", "-it"]}),
        (["--rm", "image", "--rm=no", "--nope"],
         {"rm": True, "words": ["image", "--rm=no", "--nope"]}),
        (["-e", "A", "image", "-e", "B"], {"env": ["A"], "words": ["image", "-e", "B"]}),
        (["-ename", "image", "--rm=false"], {"env": ["name"], "words": ["image", "--rm=false"]}),
        (["--rm=false", "image", "--", "-x"], {"words": ["image", "--", "-x"]}),
    ],
)  # fmt: skip
def test_what_follows_the_image_is_the_payloads(words: list[str], expected: Given) -> None:
    assert expected == differing(words, payload=True)


@pytest.mark.parametrize("word", ["--rm=maybe", "--rm=", "-t=x"])
def test_a_value_that_is_no_boolean_is_refused(word: str) -> None:
    with pytest.raises(app.UsageError, match="give true or false"):
        parse([word])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Given:
    """Make `main` run the small app."""
    given: Given = {}
    monkeypatch.setattr(app, "build", lambda _names: small_app(given, payload=False))
    return given


def exit_code(words: list[str]) -> object:
    with pytest.raises(SystemExit) as caught:
        app.main(words)
    return caught.value.code


@pytest.mark.parametrize(
    ("kind", "code", "said"),
    [
        ("lxcpy", 3, "Error: it broke\\x1b\nHint: mend it\n"),
        ("missing", 125, "Error: No such container: x\n"),
        ("interrupt", 130, ""),
        ("exit", 42, ""),
    ],
)
@pytest.mark.usefixtures("small")
def test_failures_are_told_in_one_place(
    capsys: pytest.CaptureFixture[str], kind: str, code: int, said: str
) -> None:
    assert code == exit_code(["fail", kind])
    assert ("", said) == capsys.readouterr()


@pytest.mark.usefixtures("small")
def test_a_bug_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["fail", "bug"]) == 125
    assert capsys.readouterr().err.startswith("Error: KeyError: 'x'\nHint: this is a bug in lxcpy")


def test_success_is_zero(small: Given, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["take", "--rm", "x"]) == 0
    assert (small["rm"], small["words"]) == (True, ["x"])
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["take", "--nope"], "Error: unknown flag: --nope\n"),
        (["take", "--rm=maybe"], 'Error: invalid argument "maybe" for --rm: give true or false'),
        (["fail"], "Error: missing argument 'kind'\n"),
        (["none\x1b"], "Error: no such command 'none"),
    ],
)
def test_a_wrong_command_line_is_told_with_where_help_is(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert exit_code(words) == 125
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(said)
    assert "\nSee 'lxcpy" in captured.err
    assert "\x1b" not in captured.err


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in app.COMMANDS:
        assert exit_code([name, "--help"]) == 0
        assert f"Usage: lxcpy {name}" in capsys.readouterr().out


def test_global_options_reach_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Given] = []

    def info(ctx: typer.Context) -> None:
        seen.append(ctx.obj)

    monkeypatch.setattr("lxcpy.cli.system.info", info)
    assert exit_code(["--root", "/r", "--bridge=b", "info"]) == 0
    assert [(item["root"], item["bridge"], item["subnet"]) for item in seen] == [("/r", "b", None)]


def test_closed_standard_streams_are_opened(small: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def closed(fd: int) -> None:
        raise OSError(9, f"Bad file descriptor {fd}")

    monkeypatch.setattr(os, "fstat", closed)
    monkeypatch.setattr(os, "open", lambda path, flags: opened.append((path, flags)))
    app._open_standard_streams()
    monkeypatch.undo()
    assert opened == [(os.devnull, os.O_RDWR)] * 3
    assert small == {}
