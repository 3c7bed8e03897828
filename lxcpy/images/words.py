"""Words of a Dockerfile instruction: where they end, and what quotes, backslashes and $ mean."""

from collections.abc import Mapping

BLANK = " \t\r\n"
CONTINUATION = "\\\n"
QUOTES = "\"'"
ESCAPABLE = '"$\\'  # what a backslash takes the meaning of inside double quotes


def split(text: str) -> list[str]:
    """Words as they were typed, with their quotes; ValueError for a quote without an end."""
    words: list[str] = []
    start = at = 0
    while at < len(text):
        if text[at] in BLANK:
            if at > start:
                words.append(text[start:at])
            at = start = at + 1
        elif at == start and text.startswith(CONTINUATION, at):
            at = start = at + len(CONTINUATION)
        elif text[at] in QUOTES:
            at = _end_of_quote(text, at) + 1
        else:
            at += 2 if text[at] == "\\" else 1
    if start < len(text):
        words.append(text[start:])
    return words


def evaluate(text: str, variables: Mapping[str, str]) -> str:
    """A text without its quotes and escapes, with the values of $NAME and ${NAME}.

    As docker does it: nothing means anything inside single quotes, an unknown variable is empty,
    ${NAME:-WORD} and ${NAME:+WORD} are known. ValueError for what has no end.
    """
    out: list[str] = []
    at, double = 0, False
    while at < len(text):
        char = text[at]
        if char == "'" and not double:
            end = _end_of_quote(text, at)
            out.append(text[at + 1 : end])
            at = end + 1
        elif char == '"':
            double = not double
            at += 1
        elif char == "\\" and at + 1 < len(text):
            out.append(_escaped(text[at + 1], double=double))
            at += 2
        elif char == "$":
            value, at = _variable(text, at + 1, variables)
            out.append(value)
        else:
            out.append(char)
            at += 1
    if double:
        raise ValueError("a double quote has no end")
    return "".join(out)


def _escaped(char: str, *, double: bool) -> str:
    if char == "\n":
        return ""  # a line goes on
    return f"\\{char}" if double and char not in ESCAPABLE else char


def _end_of_quote(text: str, start: int) -> int:
    quote, at = text[start], start + 1
    while at < len(text) and text[at] != quote:
        at += 2 if text[at] == "\\" and quote == '"' else 1
    if at >= len(text):
        raise ValueError(f"a {'double' if quote == QUOTES[0] else 'single'} quote has no end")
    return at


def _variable(text: str, at: int, variables: Mapping[str, str]) -> tuple[str, int]:
    """The value of the variable whose $ is before `at`, and where the text goes on."""
    if not text.startswith("{", at):
        end = _end_of_name(text, at)
        return (variables.get(text[at:end], ""), end) if end > at else ("$", at)
    name_end = _end_of_name(text, at + 1)
    end = text.find("}", name_end)
    if end < 0:
        raise ValueError("a ${ has no end")
    name, operation, word = (
        text[at + 1 : name_end],
        text[name_end:end][:2],
        text[name_end + 2 : end],
    )
    value = variables.get(name, "")
    if not name or operation not in ("", ":-", ":+"):
        raise ValueError(
            f"{text[at - 1 : end + 1]} is not $NAME, ${{NAME:-WORD}} or ${{NAME:+WORD}}"
        )
    if operation:
        value = (value or word) if operation == ":-" else (word if value else "")
    return value, end + 1


def _end_of_name(text: str, at: int) -> int:
    while at < len(text) and (text[at] == "_" or (text[at].isascii() and text[at].isalnum())):
        at += 1
    return at
