"""The walks of docs/architecture.md: what they name exists, and each step calls the next.

The code is read and not run, so a call is a name in the caller's body that is the callee's. Where
it is made on an attribute, the attribute's type is the callee's class or a base that it inherits.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple, get_type_hints

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "warouter"
PAGE = ROOT / "docs" / "architecture.md"
LINE = re.compile(r"^( *)([\w/]+\.(?:pyx?|sql))(?::([\w.]+))?(?:  (\S.*))?$")

HEAD = re.compile(
    r"^(?P<indent> *)(?:cdef class (?P<class>\w+)|(?:cp?def|def) [^(=\n]*?(?P<name>\w+)\()",
    re.MULTILINE,
)


class Step(NamedTuple):
    """One line of a walk, and the line that calls it."""

    file: str
    function: str
    caller: Step | None

    def __str__(self) -> str:
        return f"{self.file}:{self.function}"

    @property
    def name(self) -> str:
        """What its caller calls it."""
        return self.function.rpartition(".")[2] or Path(self.file).stem


def walks(page: str) -> list[Step]:
    """The steps of all walks of a page, in order."""
    steps: list[Step] = []
    for block in re.findall(r"^```\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        above: list[Step] = []
        for line in block.splitlines():
            match = LINE.match(line)
            assert match is not None, f"no step: {line}"
            depth, rest = divmod(len(match[1]), 2)
            assert rest == 0, f"stands between two steps: {line}"
            assert depth <= len(above), f"nothing calls it: {line}"
            step = Step(match[2], match[3] or "", above[depth - 1] if depth else None)
            above[depth:] = [step]
            steps.append(step)
    return steps


@cache
def defined(file: str) -> dict[str, ast.AST | str]:
    """What a file defines, by its dotted name; of a .pyx file as text."""
    text = (PACKAGE / file).read_text()
    return dict(_below(ast.parse(text), "") if file.endswith(".py") else _compiled(text))


def _compiled(text: str) -> Iterator[tuple[str, str]]:
    """The functions of a .pyx file, methods with their class, each up to the next one."""
    heads = list(HEAD.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    inside = ""
    for head, end in zip(heads, ends, strict=True):
        if not head["indent"]:
            inside = f"{head['class']}." if head["class"] else ""
        if head["name"]:
            yield inside + head["name"], text[head.start() : end]


def _below(node: ast.AST, prefix: str) -> list[tuple[str, ast.AST]]:
    found: list[tuple[str, ast.AST]] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append((prefix + child.name, child))
        elif isinstance(child, ast.ClassDef):
            found.append((prefix + child.name, child))
            found += _below(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.Assign):
            found += [(prefix + n.id, child) for n in child.targets if isinstance(n, ast.Name)]
    return found


def called(step: Step) -> set[str]:
    """Every name that stands in the body of a step's function."""
    body = defined(step.file)[step.function]
    if isinstance(body, str):
        return set(re.findall(r"\w+", body))
    nodes = list(ast.walk(body))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def missing(step: Step) -> bool:
    """Whether the step's file or function does not exist."""
    if not (PACKAGE / step.file).is_file():
        return True
    return bool(step.function) and step.function not in defined(step.file)


def unconnected(step: Step) -> bool:
    """Whether the step's caller, as far as that can be read, does not call it."""
    caller = step.caller
    if caller is None or step.name in called(caller):
        return False
    # A statement is a constant of its caller's file.
    is_statement = step.file.endswith(".sql")
    text = (PACKAGE / caller.file).read_text()
    return not (is_statement and re.search(rf"\b{step.name}\(", text))


def receivers(step: Step) -> Iterator[str]:
    """The attributes on which the step's caller calls it, as in ``self._x.call()``."""
    assert step.caller is not None
    body = defined(step.caller.file)[step.caller.function]
    for node in ast.walk(body) if isinstance(body, ast.AST) else ():
        match node:
            case ast.Call(ast.Attribute(ast.Attribute(ast.Name("self"), attribute), name)):
                if name == step.name:
                    yield attribute


def classes_of(step: Step) -> list[type]:
    """The step's class and every class of the code that inherits it."""
    module = importlib.import_module("warouter." + step.file.removesuffix(".py").replace("/", "."))
    found = [getattr(module, step.function.partition(".")[0])]
    for one in found:
        found += [kind for kind in type.__subclasses__(one) if kind not in found]
    return found


def type_of(kind: type, attribute: str) -> object:
    """What ``self.attribute`` is by the code of ``kind``; None: it does not say so plainly."""
    for base in kind.__mro__:
        if not base.__module__.startswith("warouter"):
            continue
        module = importlib.import_module(base.__module__)
        file = Path(module.__file__ or "").relative_to(PACKAGE)
        body = defined(str(file))[base.__name__]
        assert isinstance(body, ast.ClassDef)
        for said in _said_of(body, attribute):
            name = said.removesuffix(" | None").partition("[")[0]
            found: object = module
            for part in name.split("."):
                found = _member(found, part, said)
            return found
    return None


def _member(of: object, name: str, said: str) -> object:
    """What a module has under this name; of a class with fields the type of one."""
    if isinstance(of, type) and name in getattr(of, "__annotations__", {}):
        return get_type_hints(of)[name]
    return getattr(of, name, said)


def _said_of(body: ast.ClassDef, attribute: str) -> Iterator[str]:
    """The name of the type of an attribute, where an annotation or a constructor names one."""
    init = next((n for n in body.body if getattr(n, "name", "") == "__init__"), body)
    arguments: dict[str, ast.expr | None] = {}
    if isinstance(init, ast.FunctionDef):
        given = init.args
        arguments = {a.arg: a.annotation for a in (*given.args, *given.kwonlyargs)}
    for node in (*ast.walk(init), *body.body):
        match node:
            case ast.AnnAssign(ast.Attribute(ast.Name("self"), name), annotation):
                yield from [ast.unparse(annotation)] * (name == attribute)
            case ast.AnnAssign(ast.Name(name), annotation):
                yield from [ast.unparse(annotation)] * (name == attribute)
            case ast.Assign(targets, value):
                for target, part in _pairs(targets[-1], value):
                    if ast.unparse(target) != f"self.{attribute}":
                        continue
                    yield from _named(part, arguments)


def _named(value: ast.expr, arguments: dict[str, ast.expr | None]) -> Iterator[str]:
    """The type of an argument, of an argument's field, or of what is made here."""
    match value:
        case ast.Name(name) if (of := arguments.get(name)) is not None:
            yield ast.unparse(of)
        case ast.Attribute(ast.Name(name), field) if (of := arguments.get(name)) is not None:
            yield f"{ast.unparse(of)}.{field}"
        case ast.Call(made):
            yield ast.unparse(made)


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts, strict=True))
    return [(target, value)]


def joints(steps: list[Step]) -> Iterator[tuple[Step, str, object]]:
    """Steps that are called on an attribute, with the attribute and its type."""
    for step in steps:
        caller = step.caller
        if caller is None or "." not in step.function or "." not in caller.function:
            continue
        for attribute in receivers(step):
            kinds = [type_of(kind, attribute) for kind in classes_of(caller)]
            yield step, attribute, next((kind for kind in kinds if kind is not None), None)


def test_every_step_exists() -> None:
    steps = walks(PAGE.read_text())
    assert len(steps) > 120
    assert [str(step) for step in steps if missing(step)] == []


def test_every_step_is_called_by_the_one_above() -> None:
    found = [f"{s.caller} -> {s}" for s in walks(PAGE.read_text()) if unconnected(s)]
    assert found == []


def test_attributes_that_are_called_have_types() -> None:
    """So an editor finds the definition, or the class that inherits it."""
    found = list(joints(walks(PAGE.read_text())))
    assert len(found) > 40
    for step, attribute, kind in found:
        assert isinstance(kind, type), f"{step.caller} calls {step} on {attribute}: {kind}"
        behind = classes_of(step)
        assert any(kind in one.__mro__ for one in behind), f"{step} is no {kind}"


def test_both_ways_end_where_they_are_said_to_end() -> None:
    """The last step of each way has the write in its body."""
    steps = {str(step): step for step in walks(PAGE.read_text())}
    assert "write" in called(steps["upstream/client.py:SimulatorUpstream._flush"])
    assert "write" in called(steps["webhook/exchange.py:exchange"])


def test_lines_fit() -> None:
    assert [
        line for line in PAGE.read_text().splitlines() if LINE.match(line) and len(line) > 100
    ] == []


@pytest.mark.parametrize(
    ("walk", "wrong"),
    [
        ("owner/sender.py:Sender._heads\n  flow/lanes.py:Lanes.take", ""),
        ("owner/sender.py:Sender._heads\n  flow/lanes.py:Lanes.taken", "missing"),
        ("owner/sender.py:Sender._heads\n  flow/lane.py:Lanes.take", "missing"),
        ("owner/sender.py:Sender._heads\n  flow/lanes.py:Lanes.push", "unconnected"),
        ("_hash.pyx:mint\n  _hash.pyx:put_id", ""),
        ("_hash.pyx:mint\n  _hash.pyx:spell_id", "unconnected"),
        ("_batch.pyx:Splitter.feed\n  _batch.pyx:Splitter._cut", ""),
        ("_batch.pyx:Splitter.feed\n  _batch.pyx:Splitter.cut", "missing"),
    ],
)
def test_a_wrong_walk_is_found(walk: str, wrong: str) -> None:
    last = walks(f"```\n{walk}\n```\n")[-1]
    assert missing(last) == (wrong == "missing")
    assert missing(last) or unconnected(last) == (wrong == "unconnected")
