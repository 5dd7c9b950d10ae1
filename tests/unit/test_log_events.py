"""docs/monitoring.md has a table of all log events of src/ with their levels, and of no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.harness.sources import reads_sources, trees

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "monitoring.md"
LEVELS = {name: name for name in ("debug", "info", "warning", "error", "critical")}
LOGGERS = ("log", "logger")
METHODS = LEVELS | {"exception": "error", "log": ""}
_ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([a-z, ]+) \| ([^|]+) \|$", re.MULTILINE)
Events = dict[str, set[str]]


def is_log_call(node: ast.AST) -> bool:
    """``log.info(...)``, ``logger.info(...)`` or ``logging.getLogger(...).info(...)``."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    owner = ast.unparse(node.func.value)
    by_name = owner in LOGGERS or owner.startswith("logging.getLogger(")
    return by_name and node.func.attr in METHODS


def log_calls(tree: ast.AST) -> Iterator[tuple[ast.Call, ast.AST]]:
    """Each call with the innermost function that holds it."""
    inside: dict[ast.AST, ast.AST] = {}
    for scope in ast.walk(tree):  # outer functions come first, so inner ones have the last say
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            inside |= dict.fromkeys(ast.walk(scope), scope)
    for node in ast.walk(tree):
        if is_log_call(node):
            assert isinstance(node, ast.Call)
            yield node, inside[node]


def events_of(tree: ast.AST) -> Events:
    """The levels of each event that this module logs."""
    found: Events = {}
    for call, function in log_calls(tree):
        assert isinstance(call.func, ast.Attribute)
        method = call.func.attr
        text = call.args[method == "log"]
        assert isinstance(text, ast.Constant), f"an event is constant text: {ast.unparse(call)}"
        levels = {METHODS[method]} if METHODS[method] else levels_named(function)
        found.setdefault(text.value, set()).update(levels)
    return found


def levels_named(function: ast.AST) -> set[str]:
    """``logging.WARNING`` and its like, of which a function chooses one."""
    names = {ast.unparse(node) for node in ast.walk(function) if isinstance(node, ast.Attribute)}
    return {level for level in LEVELS if f"logging.{level.upper()}" in names}


def in_src() -> Events:
    found: Events = {}
    for tree in trees():
        for event, levels in events_of(tree).items():
            found.setdefault(event, set()).update(levels)
    return found


def in_page() -> list[tuple[str, set[str]]]:
    section = PAGE.read_text().split("\n## Log events\n")[1].split("\n## ")[0]
    return [(event, set(levels.split(", "))) for event, _, levels, _ in _ROW.findall(section)]


@reads_sources
def test_the_table_has_each_event_with_its_levels_and_no_other() -> None:
    assert dict(in_page()) == in_src()


def test_the_table_is_sorted_and_names_an_event_once() -> None:
    events = [event for event, _ in in_page()]
    assert events == sorted(set(events))


def test_every_logger_has_a_name_that_is_looked_for() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        for name in re.findall(r"(\S+) = logging\.getLogger", path.read_text()):
            assert name in LOGGERS, path


def test_every_event_is_found_however_its_level_is_chosen() -> None:
    tree = ast.parse(
        """
def of(bad):
    level = logging.ERROR if bad else logging.INFO
    log.log(level, "slot closed")
    def inner():
        logging.getLogger(__name__).exception("command failed")
    logger.warning("pruning failed", extra={"slot": 1})
"""
    )
    assert events_of(tree) == {
        "slot closed": {"error", "info"},
        "command failed": {"error"},
        "pruning failed": {"warning"},
    }
