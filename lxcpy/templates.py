"""Templates: the only importer of jinja2, which most runs do not import.

The import of jinja2 and the compilation of one template cost 50 ms, a third of a whole run. So the
Python code that jinja2 makes of a template is kept in a cache file, and a later process runs it
with a stand-in for jinja2's runtime. A template that needs more of it than the stand-in has, such
as an admin's own, is rendered by jinja2 itself, as it is without a cache.
"""

import marshal
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from types import CodeType
from typing import Any, NoReturn

from lxcpy import paths, state
from lxcpy.errors import LxcpyError

Variables = dict[str, Any]
Root = Callable[[Any], Iterator[str]]  # what jinja2 compiles a template to
FORBIDDEN = "\n\r\0"  # a value with one of them could end its line and begin another
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_")


class _BadValueError(Exception):
    """A value that no line can hold; `_join` knows which line it was for."""


class _MissingError(Exception):
    """A variable or attribute that the template names and the caller did not give."""


def render(name: str, variables: Variables, *, cache_dir: str | None) -> str:
    """The text of templates/NAME; LxcpyError for a missing variable or a value with a line end.

    `cache_dir` holds the compiled template; None compiles it every time.
    """
    path = paths.template(name)
    try:
        with open(path, encoding="utf-8") as file:
            source = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise LxcpyError(f"cannot read template {path}: {error}") from error
    root = _cached(path, source, cache_dir=cache_dir) if cache_dir else None
    return _join(path, root(_Context(variables)) if root else _jinja(path, source, variables))


def _join(path: str, pieces: Iterable[str]) -> str:
    text: list[str] = []
    try:
        text.extend(pieces)  # on an exception it holds what came before
    except _BadValueError as error:
        key = "".join(text).rpartition("\n")[2].strip(" ='\"")
        raise LxcpyError(f"{os.path.basename(path)}: {key or 'a line'} cannot be {error}") from None
    except _MissingError as error:
        raise LxcpyError(f"template {path}: {error}") from None
    return "".join(text)


# --- what a template may use ------------------------------------------------------------------


def mount_field(text: str) -> str:
    """A field of an fstab line (fstab(5)): LXC decodes these four escapes and no others."""
    for character in "\\ \t\n":
        text = text.replace(character, f"\\{ord(character):03o}")
    return text


def shell_word(text: str) -> str:
    """One word of a POSIX shell, as shlex.quote makes it, without its import of re (4 ms)."""
    if text and PLAIN.issuperset(text):
        return text
    return "'" + text.replace("'", "'\"'\"'") + "'"


FILTERS: dict[str, Callable[[str], str]] = {"mount": mount_field, "shell": shell_word}


def _finalize(value: object) -> str:
    """The last step of every expression, so that no value can skip it."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise _BadValueError(f"a {type(value).__name__}")
    text = str(value)
    if any(character in text for character in FORBIDDEN):
        raise _BadValueError(f"{text!r}: it has a line end or a NUL in it")
    return text


# --- jinja2 itself ----------------------------------------------------------------------------


def _environment() -> Any:
    import jinja2

    def finalize(value: object) -> str:
        return _finalize(str(value) if isinstance(value, jinja2.Undefined) else value)

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,  # its str() raises
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # the output is no HTML
    )
    environment.filters.update(FILTERS)
    return environment


def _jinja(path: str, source: str, variables: Variables) -> Iterator[str]:
    import jinja2

    try:
        yield from _environment().from_string(source).generate(variables)
    except jinja2.TemplateSyntaxError as error:
        raise LxcpyError(f"template {path}, line {error.lineno}: {error.message}") from error
    except jinja2.TemplateError as error:
        raise LxcpyError(f"template {path}: {error}") from error


# --- compiled templates without jinja2 --------------------------------------------------------


class _Context:
    """Stands in for jinja2.runtime.Context."""

    def __init__(self, variables: Variables) -> None:
        self.variables = variables

    def resolve_or_missing(self, name: str) -> Any:
        return self.variables.get(name, _MISSING)


def _undefined(name: str) -> NoReturn:
    raise _MissingError(f"'{name}' is undefined")


def _attribute(value: object, name: str) -> Any:
    try:
        return getattr(value, name)
    except AttributeError:
        words = f"'{type(value).__name__} object' has no attribute '{name}'"
        raise _MissingError(words) from None


class _StandIn:
    """Stands in for jinja2.Environment."""

    undefined = staticmethod(_undefined)
    getattr = staticmethod(_attribute)
    finalize = staticmethod(_finalize)
    filters = FILTERS
    concat = "".join


_MISSING = object()
_NAMES: Variables = {
    "missing": _MISSING, "Undefined": None, "environment": _StandIn,
    "internalcode": lambda function: function, "TemplateRuntimeError": LxcpyError,
}  # fmt: skip
# Every global and attribute that compiled code may use and still run on the stand-in.
_SUPPORTED = frozenset(
    [*_NAMES, *vars(_StandIn), "resolve_or_missing", "str", "KeyError", "name", "root", "blocks",
     "debug_info"]
)  # fmt: skip


def _cached(path: str, source: str, *, cache_dir: str) -> Root | None:
    """The compiled template, None when only jinja2 can render it."""
    stamp = _stamp()
    cache = f"{cache_dir}/{os.path.basename(path)}.code"
    entry = _load(cache)
    if entry is None or entry[:2] != (stamp, source):
        entry = (stamp, source, _compile(path, source))
        state.write_file(cache, marshal.dumps(entry))
    code = entry[2]
    if not isinstance(code, CodeType):
        return None
    names = dict(_NAMES)
    exec(code, names)  # made by jinja2, read from a directory that only root writes
    root: Root = names["root"]
    return root


def _stamp() -> tuple[str, int, int]:
    """Which Python and which jinja2, found without importing it or its metadata."""
    for directory in sys.path:
        try:
            found = os.stat(f"{directory}/jinja2/__init__.py")
        except OSError:
            continue
        return (sys.version, found.st_mtime_ns, found.st_size)
    return (sys.version, 0, 0)


def _load(cache: str) -> tuple[object, ...] | None:
    try:
        with open(cache, "rb") as file:
            entry = marshal.loads(file.read())
    except (OSError, EOFError, ValueError, TypeError):
        return None
    return entry if isinstance(entry, tuple) and len(entry) == 3 else None


def _compile(path: str, source: str) -> CodeType | None:
    """What jinja2 makes of the template, without the import of jinja2 at its top."""
    import jinja2
    from jinja2 import nodes

    environment = _environment()
    try:
        tree = environment.parse(source)
        python = environment.compile(source, filename=path, raw=True)
    except jinja2.TemplateSyntaxError:
        return None  # and jinja2 says what is wrong
    if not {node.name for node in tree.find_all(nodes.Filter)} <= FILTERS.keys():
        return None
    head, _, body = python.partition("\n")
    code = compile(body, path, "exec")
    known = head.startswith("from jinja2.runtime import ") and _names(code) <= _SUPPORTED
    return code if known else None


def _names(code: CodeType) -> set[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*map(_names, inner))
