"""Suites that `make test` does not run import what is there: they have requirements of their own,
so that they cannot be imported here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from tests.harness.sources import reads_sources

pytestmark = reads_sources

ROOT = Path(__file__).parents[2]
SUITES = (
    *(f"tests/{name}" for name in ("campaigns", "console", "deploy", "outside", "trust")),
    "bench",
)


@pytest.mark.parametrize("suite", SUITES)
def test_every_name_that_a_suite_imports_is_there(suite: str) -> None:
    files = list((ROOT / suite).rglob("*.py"))
    assert files
    missing = [
        f"{path.relative_to(ROOT)}: {module} has no {name}"
        for path in files
        for module, name in _imported(path)
        if not _has(module, name)
    ]
    assert missing == []


def _imported(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield node.module, alias.name


def _has(module: str, name: str) -> bool:
    match module.partition(".")[0]:
        case "tests" | "bench":
            return name in _names(module) or bool(_source(f"{module}.{name}"))
        case "warouter":
            return hasattr(import_module(module), name) or _is_module(f"{module}.{name}")
        case _:
            return True


@cache
def _names(module: str) -> frozenset[str]:
    """All that a module of tests or benchmarks defines or imports, by its source alone."""
    source = _source(module)
    if source is None:
        return frozenset()
    found: set[str] = set()
    for node in ast.walk(ast.parse(source.read_bytes())):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.add(node.name)
            case ast.Import() | ast.ImportFrom():
                found.update(alias.asname or alias.name for alias in node.names)
            case ast.Name(ctx=ast.Store()):
                found.add(node.id)
    return frozenset(found)


def _source(module: str) -> Path | None:
    place = ROOT / module.replace(".", "/")
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((path for path in files if path.is_file()), None)


def _is_module(name: str) -> bool:
    try:
        import_module(name)
    except ImportError:
        return False
    return True
