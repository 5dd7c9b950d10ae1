"""The shape of src/warouter: imports without circles, small folders, no crumbs of files, one thing
for each class name, short functions, and modules that are as pure as they say."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tests.harness import sources
from tests.harness.sources import FILES, SOURCE, reads_sources

pytestmark = reads_sources

ROOT = Path(__file__).parents[2]
MOST_MODULES = 25
LEAST_LINES = 20
# Smaller ones, and why each is a module of its own.
SMALL = {
    "warouter.__main__": "what `python -m warouter` runs",
    "warouter.access.token": "the one place where tokens are made and hashed",
    "warouter.link.address": "the store reads it, and nothing else of the link",
    "warouter.retry": "the back-off of five floors",
    "warouter.store.locks": "numbers that Python, SQL and operators share",
}
# A docstring that begins so is understood only beside its neighbours.
LEANING = re.compile(r"(?:What|Who|Whose|Whether|The same|As|So)\b")
# A test's name says what holds of what: one that begins so leaves out the thing.
UNNAMED = re.compile(r"def (test_(?:what|who|whose|whoever|nobody|it|as|so)_\w+)")
MOST_LINES = 60
MOST_CLASS_LINES = 200
# Names of classes that stand for the same role at two ends, and which role that is.
TWINS = {
    "Ping": "asks a quiet peer to answer, on a link and on the connection to the upstream",
    "Pong": "answers that",
}


def name_of(path: Path) -> str:
    """``warouter.link.wire`` of a file, ``warouter.link`` of a package's ``__init__.py``."""
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in FILES}
PACKAGES = {name for name, path in MODULES.items() if path.name == "__init__.py"} - {"warouter"}


def tree(name: str) -> ast.Module:
    return sources.tree(MODULES[name])


def imported(name: str) -> Iterator[str]:
    """The modules of ours that a module imports, for typing too and within functions."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"{name}: a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in MODULES:
                    yield inner
                elif node.module in MODULES:
                    yield node.module


@cache
def imports() -> dict[str, set[str]]:
    return {name: set(imported(name)) - {name} for name in MODULES}


def circle(imports: dict[str, set[str]]) -> list[str]:
    """The modules of one circle, each imported by the next; none if there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_import_circle_not_even_for_typing() -> None:
    assert circle(imports()) == []


def test_the_search_for_circles_finds_one() -> None:
    turned = {"warouter.kinds": {"warouter.log"}, "warouter.log": {"warouter.kinds"}}
    assert set(circle(imports() | turned)) == turned.keys()


def test_no_folder_is_wide() -> None:
    folders = {path.parent for path in FILES}
    wide = {
        str(folder.relative_to(SOURCE)): count
        for folder in folders
        if (count := len(list(folder.glob("*.py")))) > MOST_MODULES
    }
    assert wide == {}


def test_a_small_module_has_a_reason() -> None:
    small = {
        name
        for name, path in MODULES.items()
        if path.name != "__init__.py" and len(path.read_text().splitlines()) < LEAST_LINES
    }
    assert small == SMALL.keys()


@cache
def homes() -> dict[str, list[str]]:
    """The modules of each public class name."""
    found: dict[str, list[str]] = {}
    for name in MODULES:
        for node in ast.walk(tree(name)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(name)
    return found


def test_a_class_name_stands_for_one_thing() -> None:
    """What is found by its name is found: a name that another class has gets its context."""
    found = homes()
    assert {name: at for name, at in found.items() if len(at) > 1 and name not in TWINS} == {}
    assert [name for name in TWINS if len(found.get(name, [])) != 2] == []


def test_no_class_is_imported_under_another_name() -> None:
    """An alias is a second name for one thing."""
    classes = homes()
    aliases = [
        f"{name}: {alias.name} as {alias.asname}"
        for name in MODULES
        for node in ast.walk(tree(name))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("warouter")
        for alias in node.names
        if alias.asname and alias.name in classes
    ]
    assert aliases == []


def test_a_package_says_what_each_of_its_modules_is_for() -> None:
    assert {name: left for name in PACKAGES if (left := unnamed(name))} == {}


def unnamed(package: str) -> list[str]:
    """Modules and folders of a package that its docstring has no line for."""
    text = ast.get_docstring(tree(package)) or ""
    children = {
        name.removeprefix(f"{package}.")
        for name in MODULES
        if name.startswith(f"{package}.") and name.count(".") == package.count(".") + 1
    }
    return sorted(
        child
        for child in children
        if not re.search(rf"^ *{child}/? {{2,}}\S", text, re.MULTILINE)
        and f"``{child}``" not in text
    )


def contracts() -> set[str]:
    """What the purity contracts of pyproject.toml name: modules, and packages as a whole."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found = settings["tool"]["importlinter"]["contracts"]
    return {name for c in found if c["id"].startswith("pure") for name in c["source_modules"]}


def test_a_module_says_pure_exactly_when_a_contract_holds_it_to_that() -> None:
    held = contracts()
    assert held <= MODULES.keys()
    single = {name for name in held if MODULES[name].name != "__init__.py"}
    packages = held - single
    pure = {n for n in MODULES if re.search(r"\bPure\b", ast.get_docstring(tree(n)) or "")}
    loose = {n for n in pure - held if not any(n.startswith(f"{p}.") for p in packages)}
    assert loose == set(), "say Pure, and stand in no purity contract of pyproject.toml"
    assert single - pure == set(), "stand in a purity contract, and do not say Pure"


def spans(kinds: tuple[type[ast.AST], ...], most: int) -> Iterator[tuple[str, int]]:
    """Qualified names and lines of what is longer than ``most``."""

    def below(node: ast.AST, prefix: str) -> Iterator[tuple[str, int]]:
        for child in ast.iter_child_nodes(node):
            inner = prefix
            if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                inner = f"{prefix}.{child.name}"
                lines = (child.end_lineno or 0) - child.lineno + 1
                if isinstance(child, kinds) and lines > most:
                    yield inner, lines
            yield from below(child, inner)

    for name in MODULES:
        yield from below(tree(name), name)


def test_functions_are_short() -> None:
    assert dict(spans((ast.FunctionDef, ast.AsyncFunctionDef), MOST_LINES)) == {}


def test_classes_of_the_owner_are_small() -> None:
    long = dict(spans((ast.ClassDef,), MOST_CLASS_LINES))
    assert [name for name in long if name.startswith("warouter.owner.")] == []


def first_lines() -> Iterator[tuple[str, str]]:
    """The first line of each docstring, with its module."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for name in MODULES:
        for node in ast.walk(tree(name)):
            if isinstance(node, kinds) and (text := ast.get_docstring(node)):
                yield name, text.partition("\n")[0]
    for path in SOURCE.rglob("*.pyx"):
        for line in re.findall(r'^ *"""(.*)', path.read_text(), re.MULTILINE):
            yield path.name, line


def test_no_first_line_of_a_docstring_leans_on_its_neighbours() -> None:
    assert [found for found in first_lines() if LEANING.match(found[1])] == []


def test_the_name_of_a_test_names_its_subject() -> None:
    tests = Path(__file__).parents[1].rglob("test_*.py")
    assert [name for path in tests for name in UNNAMED.findall(path.read_text())] == []
