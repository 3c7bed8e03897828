"""Words of a Dockerfile's line: quotes, backslashes and variables.

The rules are those of the Dockerfile reference, "Environment replacement": single quotes keep
everything, double quotes keep blanks, and `$NAME ${NAME} ${NAME:-word} ${NAME:+word}` are replaced.
"""

import json
from collections.abc import Mapping

BLANKS = " \t\r\n"
NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


def split(text: str, variables: Mapping[str, str]) -> list[str]:
    """The words of a line, without their quotes; ValueError for a quote that is not closed."""
    return _Scanner(text, variables, blanks=BLANKS).run()


def expand(text: str, variables: Mapping[str, str]) -> str:
    """A line as one word: blanks stay, quotes go."""
    return "".join(_Scanner(text, variables, blanks="").run())


def json_list(text: str) -> list[str] | None:
    """The exec form, a JSON array of strings; None for anything else, which is shell form."""
    if not text.startswith("["):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    return None


class _Scanner:
    """One pass over a line."""

    def __init__(self, text: str, variables: Mapping[str, str], *, blanks: str) -> None:
        self.text = text
        self.variables = variables
        self.blanks = blanks
        self.at = 0
        self.words: list[str] = []
        self.word: list[str] | None = None  # None between words

    def run(self) -> list[str]:
        while self.at < len(self.text):
            character = self._next()
            if character in self.blanks:
                self._end()
            elif character == "'":
                self._add(self._until("'"))
            elif character == '"':
                self._double()
            elif character == "\\":
                self._escaped()
            elif character == "$":
                self._add(self._variable())
            else:
                self._add(character)
        self._end()
        return self.words

    def _next(self) -> str:
        self.at += 1
        return self.text[self.at - 1]

    def _add(self, piece: str) -> None:
        if self.word is None:
            self.word = []
        self.word.append(piece)

    def _end(self) -> None:
        if self.word is not None:
            self.words.append("".join(self.word))
        self.word = None

    def _until(self, end: str) -> str:
        start = self.at
        found = self.text.find(end, start)
        if found < 0:
            raise ValueError(f"{end} is missing")
        self.at = found + 1
        return self.text[start:found]

    def _escaped(self) -> None:
        """What follows a backslash; one at the end of a line joins it to the next."""
        character = self._next() if self.at < len(self.text) else "\\"
        if character != "\n":
            self._add(character)

    def _double(self) -> None:
        self._add("")
        while self.at < len(self.text):
            character = self._next()
            if character == '"':
                return
            if character == "\\" and self.text[self.at : self.at + 1] in ('"', "$", "\\"):
                character = self._next()
            elif character == "$":
                character = self._variable()
            self._add(character)
        raise ValueError('" is missing')

    def _variable(self) -> str:
        if self.text[self.at : self.at + 1] == "{":
            self.at += 1
            return self._braces(self._until("}"))
        start = self.at
        while self.at < len(self.text) and self.text[self.at] in NAME_CHARACTERS:
            self.at += 1
        name = self.text[start : self.at]
        return self.variables.get(name, "") if name else "$"

    def _braces(self, inside: str) -> str:
        name, colon, word = inside.partition(":")
        if not name or not set(name) <= NAME_CHARACTERS:
            raise ValueError(f"${{{inside}}} names no variable")
        value = self.variables.get(name, "")
        if not colon:
            return value
        if word[:1] not in ("-", "+"):
            raise ValueError(f"${{{inside}}} has an unknown operator; :- and :+ are known")
        if word[0] == "-":
            return value or word[1:]
        return word[1:] if value else ""
