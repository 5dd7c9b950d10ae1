"""S18: no statement is made of values. What a function adds to SQL is a parameter, and constants of
its module are all that statements are put together from.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.harness.sources import FILES, SOURCE, reads_sources, tree

RUNS = {
    *("execute", "executemany", "fetch", "fetchrow", "fetchval", "fetchmany", "cursor", "prepare"),
    "copy_from_query",
}
SQL = re.compile(
    r"\s*(select\b|insert into|update \w+ set|delete from|with \w+ as|call\b|copy\b|truncate\b"
    r"|(create|alter|drop|grant|revoke) |set (local )?\w+ =|(un)?listen |notify )",
    re.IGNORECASE,
)

# PostgreSQL takes no parameters in these. What they name is no input: a database's name by
# quote_ident, the operator's schema, which is letters, digits and _ only, the index that a file of
# the migrations makes, and numbers of the module. Of roles: names of the catalogue and of the
# operator, in quotes; signatures as PostgreSQL writes them; a verifier, which is base64 and signs.
ALLOWED = {
    # Its parts are constants of the modules that call it.
    (
        "store/history.py",
        "select case when {ahead} < '10 minutes' then {call} end as gone",
    ),
    ("store/migrate.py", "create database {name}"),
    ("store/migrate.py", 'create schema if not exists "{settings.db_schema}"'),
    ("store/migrate.py", "drop index concurrently {index}"),
    ("store/migrate.py", "set lock_timeout = '{TRY_SECONDS:g}s'"),
    ("store/migrate.py", "set role {quoted(owner)}"),
    ("store/roles/compare.py", "alter function {each.signature} security {how}"),
    ("store/roles/compare.py", "alter function {each.signature} set search_path from current"),
    ("store/roles/create.py", "alter function {signature} {to}"),
    ("store/roles/create.py", "alter role {quoted(name)} password {literal(kept)}"),
    ("store/roles/create.py", "alter role {quoted(name)} {how}"),
    ("store/roles/create.py", "alter schema {quoted(found.schema)} {to}"),
    ("store/roles/create.py", "alter table {quoted(table)} {to}"),
    ("store/roles/create.py", "create role {quoted(name)} {how}"),
    ("store/roles/revoke.py", "alter database {quoted(database)} owner to {quoted(owner)}"),
    ("store/roles/revoke.py", "revoke {quoted(group)} from {who} cascade"),
    ("store/roles/rights.py", "grant {quoted(group)} to {quoted(role)}{how}"),
    ("store/roles/revoke.py", "alter database {quoted(database)} owner to {quoted(owner)}"),
}


def made_of_values(module: ast.AST) -> Iterator[str]:
    """Statements that functions of this module put together."""
    functions = ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda
    for function in (n for n in ast.walk(module) if isinstance(n, functions)):
        for node in ast.walk(function):
            yield from _composed(node)
            yield from _run(node)


def _composed(node: ast.AST) -> Iterator[str]:
    """Text with values in it that begins as SQL does, whatever becomes of it."""
    if isinstance(node, ast.JoinedStr | ast.BinOp) and SQL.match(text := _written(node)):
        yield text
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        text = _written(node.func.value)
        if node.func.attr in ("format", "replace") and SQL.match(text):
            yield text


def _run(node: ast.AST) -> Iterator[str]:
    """What is run and is not written down as it is."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
        first = node.args[0]
        plain = ast.Constant | ast.Name | ast.Attribute | ast.IfExp | ast.Subscript | ast.Starred
        if node.func.attr in RUNS and not isinstance(first, plain):
            yield _written(first)


def _written(node: ast.expr) -> str:
    """Its text, with what is put in by its name."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.Add):
        return _written(node.left)
    if isinstance(node, ast.JoinedStr):
        return ast.unparse(node)[2:-1]
    return ast.unparse(node)


@pytest.mark.parametrize(
    "line",
    [
        *("await c.execute(f'delete from t where n = {n}')", "s = f'select * from {t}'"),
        *("s = 'select %s' % n", "s = 'update t set a = {}'.format(n)", "c.fetch('selec' + t)"),
        *("s = 'insert into t values (' + n + ')'", "c.fetchval(made(n))"),
    ],
)
def test_the_judge_finds_values_in_statements(line: str) -> None:
    assert len(set(made_of_values(ast.parse(f"async def f(c, n, t, made):\n    {line}")))) == 1


@pytest.mark.parametrize(
    "line",
    ["await c.execute(SQL, n)", "await c.fetch('select $1', n)", "say(f'set shards {n}')"],
)
def test_parameters_and_sentences_are_none(line: str) -> None:
    assert list(made_of_values(ast.parse(f"async def f(c, n, say):\n    {line}"))) == []


@reads_sources
def test_no_statement_is_made_of_values() -> None:
    found = {
        (str(file.relative_to(SOURCE)), text)
        for file in FILES
        for text in made_of_values(tree(file))
    }
    assert found == ALLOWED
