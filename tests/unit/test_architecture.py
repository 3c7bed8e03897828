"""Who may import whom. Units are the modules and packages right below lxcpy/."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lxcpy

ROOT = Path(lxcpy.__file__).parent
SUBJECTS = {"images", "containers", "storage", "network", "lxc"}
# From the bottom up. A unit imports itself and what is strictly below, so that units of one layer,
# such as the subjects, never meet.
LAYERS = (
    {"errors"},
    {"paths", "shell", "state", "kernel"},
    {"templates"},
    {"model"},
    SUBJECTS,
    {"engine"},
    {"library"},
    {"cli"},
    {"__main__"},
)
LEVEL = {unit: level for level, units in enumerate(LAYERS) for unit in units}
# Where less is allowed than all that is below. `__init__` is the library's front.
ONLY = {
    "__init__": {"errors", "library", "model"},
    "cli": {"cli", "engine", "errors", "model"},
    "monitor": set(),
    "__main__": {"cli"},
}
OWNERS = {
    "sh": "shell",
    "subprocess": "shell",
    "filelock": "state",
    "jinja2": "templates",
    "typer": "cli",
    "rich": "cli",
}


def imports(source: str) -> Iterator[str]:
    """Dotted names of all that a module imports, wherever the statement stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield "relative"
            elif node.module == "lxcpy":
                yield from (f"lxcpy.{alias.name}" for alias in node.names)
            else:
                yield node.module or ""


def is_wrong(unit: str, name: str) -> bool:
    """Whether `unit` may not import the module `name`."""
    top, _, rest = name.partition(".")
    if top in OWNERS:
        return OWNERS[top] != unit
    if top != "lxcpy":
        return top not in sys.stdlib_module_names
    target = rest.partition(".")[0]
    if target == "__version__":
        return unit == "monitor"
    if target not in LEVEL:
        return True  # the monitor, lxcpy itself, or a unit that the table lacks
    if unit in ONLY:
        return target not in ONLY[unit]
    return target != unit and LEVEL[target] >= LEVEL[unit]


def violations(unit: str, source: str) -> list[str]:
    return [name for name in imports(source) if is_wrong(unit, name)]


def unit_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


MODULES = sorted(ROOT.rglob("*.py"))


def test_the_table_has_every_unit() -> None:
    assert {*LEVEL, "__init__", "monitor"} == {unit_of(path) for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_strictly_downward(path: Path) -> None:
    assert violations(unit_of(path), path.read_text()) == []


@pytest.mark.parametrize(
    ("unit", "source", "wrong"),
    [
        ("images", "from lxcpy.storage import load", "lxcpy.storage"),
        ("images", "def f():\n    from lxcpy import storage", "lxcpy.storage"),
        ("model", "import lxcpy.engine.host", "lxcpy.engine.host"),
        ("state", "from lxcpy import kernel", "lxcpy.kernel"),
        ("engine", "from lxcpy.cli import output", "lxcpy.cli"),
        ("engine", "from lxcpy import library", "lxcpy.library"),
        ("engine", "from lxcpy import monitor", "lxcpy.monitor"),
        ("engine", "from lxcpy.new import thing", "lxcpy.new"),
        ("engine", "from . import host", "relative"),
        ("monitor", "from lxcpy import errors", "lxcpy.errors"),
        ("monitor", "import typer", "typer"),
        ("cli", "from lxcpy import state", "lxcpy.state"),
        ("cli", "from lxcpy.containers.store import check_name", "lxcpy.containers.store"),
        ("engine", "import subprocess", "subprocess"),
        ("engine", "from rich.console import Console", "rich.console"),
        ("lxc", "if True:\n    import jinja2", "jinja2"),
        ("shell", "import requests", "requests"),
    ],
)
def test_a_planted_violation_is_found(unit: str, source: str, wrong: str) -> None:
    assert [wrong] == violations(unit, source)


@pytest.mark.parametrize(
    ("unit", "source"),
    [
        ("images", "from lxcpy.images.tree import Tree\nfrom lxcpy import shell, state"),
        ("cli", "from lxcpy import __version__\nfrom lxcpy.engine import view\nimport typer"),
        ("shell", "import sh, os"),
    ],
)
def test_what_is_allowed_is_no_violation(unit: str, source: str) -> None:
    assert violations(unit, source) == []
