"""What the command line prints: results on stdout, everything else on stderr."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lxcpy.errors import LxcpyError

GAP = "   "  # between columns


def line(text: str) -> None:
    print(safe(text))


def raw(text: str) -> None:
    """Text of a file, with bytes that are not UTF-8 as they are."""
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(text))


def warning(text: str) -> None:
    print(f"Warning: {safe(text)}", file=sys.stderr)


def error(problem: LxcpyError, *, debug: bool = False) -> None:
    """One line, and a second one with the remedy."""
    print(f"Error: {safe(problem.message)}", file=sys.stderr)
    if problem.hint:
        print(f"Hint: {safe(problem.hint)}", file=sys.stderr)
    if debug and problem.details:
        print(safe(problem.details), file=sys.stderr)


def safe(text: str) -> str:
    """Without control characters: names come from strangers, and a terminal obeys escapes."""
    if text.isprintable():
        return text
    shown = text.encode(errors="backslashreplace").decode()
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in shown)


def json(value: Any) -> None:
    import json as codec

    print(codec.dumps(value, indent=4, ensure_ascii=True))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as their widest cell; plain text, the header bold on a terminal."""
    cells = [[safe(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    lines = [
        GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [list(header), *cells]
    ]
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        lines[0] = f"\033[1m{lines[0]}\033[0m"
    print("\n".join(lines))


def size(count: int) -> str:
    """Bytes in docker's decimal units with three digits: `1.24MB`."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:.3g}{unit}" if value < 999.5 else f"{value:.0f}{unit}"
        value /= 1000
    raise AssertionError


def shorten(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


@contextmanager
def progress(what: str) -> Iterator[Callable[[int], None] | None]:
    """A counter of bytes on stderr while something long goes on; None when it is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, SpinnerColumn, TransferSpeedColumn

    columns = (SpinnerColumn(), "{task.description}", DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda count: bar.advance(task, count)
