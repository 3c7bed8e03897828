import pytest
from hypothesis import given
from hypothesis import strategies as st

from lxcpy.cli import output
from lxcpy.errors import LxcpyError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, grün", "plain, grün"),
        ("a\tb\nc", "a\tb\nc"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\r\x07\x7f\x9b", "\\r\\x07\\x7f\\x9b"),
        ("bytes \udcff", "bytes \\udcff"),
        ("\u202eevil", "\\u202eevil"),
        ("", ""),
    ],
)
def test_safe(text: str, expected: str) -> None:
    assert expected == output.safe(text)


@given(st.text(st.characters(codec=None)))
def test_safe_text_is_printable_and_can_be_encoded(text: str) -> None:
    shown = output.safe(text)
    assert shown.replace("\n", "").replace("\t", "").isprintable()
    assert output.safe(shown) == shown
    shown.encode()


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0B"),
        (1, "1B"),
        (999, "999B"),
        (1000, "1kB"),
        (1234, "1.23kB"),
        (12_345, "12.3kB"),
        (999_499, "999kB"),
        (1_240_000, "1.24MB"),
        (278_000_000, "278MB"),
        (5_000_000_000, "5GB"),
        (10**12, "1TB"),
        (1234 * 10**12, "1234TB"),
    ],
)
def test_size(count: int, expected: str) -> None:
    assert expected == output.size(count)


def test_a_table_has_columns_as_wide_as_their_cells(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("ID", "NAME", "X"), [("1", "a long name", ""), ("22", "b\x1b", "y")])
    assert capsys.readouterr().out.splitlines() == [
        "ID   NAME          X",
        "1    a long name",
        "22   b\\x1b         y",
    ]


def test_a_table_without_rows_is_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("ID", "NAME"), [])
    assert capsys.readouterr().out == "ID   NAME\n"


def test_a_row_of_the_wrong_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="argument"):
        output.table(("ID", "NAME"), [("1",)])


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("", 3, "")],
)
def test_shorten(text: str, width: int, expected: str) -> None:
    assert expected == output.shorten(text, width)


def test_details_are_shown_for_debugging(capsys: pytest.CaptureFixture[str]) -> None:
    problem = LxcpyError("no", hint="do", details="tool: \x1bwhy")
    output.error(problem)
    assert capsys.readouterr() == ("", "Error: no\nHint: do\n")
    output.error(problem, debug=True)
    assert capsys.readouterr() == ("", "Error: no\nHint: do\ntool: \\x1bwhy\n")


def test_results_are_on_stdout_and_warnings_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    output.line("id\x1b")
    output.warning("odd\x1b")
    assert capsys.readouterr() == ("id\\x1b\n", "Warning: odd\\x1b\n")


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    output.json([{"Name": "ü\x1b\udcff"}])
    assert capsys.readouterr().out == (
        '[\n    {\n        "Name": "\\u00fc\\u001b\\udcff"\n    }\n]\n'
    )


def test_no_progress_without_a_terminal() -> None:
    with output.progress("import") as advance:
        assert advance is None
