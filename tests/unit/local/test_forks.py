"""Which processes can be forked from one that has imported everything, and which modules let it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import warouter
from warouter.local.forks import COMMAND, ForkRequest, is_ours, read_early

SOURCE = Path(warouter.__file__).parent
# What belongs to one process, and would be one thing for all that are forked after it was read.
OWN = {"monotonic", "time", "boottime", "getpid", "uuid4", "Random", "urandom", "gethostname"}
OWN |= {"token_hex", "token_bytes", "token_urlsafe", "getcwd", "getenv", "environ", "argv"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@pytest.mark.parametrize(
    "command",
    [
        ["python-of-another-build", "-m", "warouter", "webapp"],
        [sys.executable, "-c", "", "warouter"],
        [sys.executable, "-m", "tests.harness.mutants", "webapp"],
        ["ip", "netns", "exec", "name", *COMMAND, "webapp"],
        [],
    ],
)
def test_another_build_is_executed(command: list[str]) -> None:
    assert not is_ours(command)


def test_a_role_of_this_build_can_be_forked() -> None:
    assert is_ours([sys.executable, "-m", "warouter", "webapp"])


def test_only_settings_may_differ_from_the_environment_of_the_server() -> None:
    ours = {"PATH": "/bin", "HOME": "/root"}
    settings = {"WA_DB_PORT": "1", "WAROUTER_NODE": "x", "COREAPP_EXTERNAL_PORTS": "0"}
    assert read_early(ours | settings | {"NOTIFY_SOCKET": "y"}) == ours
    for name in ("PYTHONPATH", "PATH", "SSL_CERT_FILE", "LD_PRELOAD", "TZ", "LANG"):
        assert read_early(ours | {name: "other"}) != ours


def test_a_request_arrives_whole() -> None:
    request = ForkRequest(["doubt", "list"], {"WA_X": "\udcff ä"}, "/a folder")
    assert ForkRequest.decoded(request.encoded()) == request


def read_at_import(tree: ast.AST) -> Iterator[str]:
    """Names of ``OWN`` that are called, and variables that are read, outside of functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, FUNCTIONS):
            continue
        read = node.func if isinstance(node, ast.Call) else node
        name = getattr(read, "attr", getattr(read, "id", ""))
        if name in OWN and (read is not node or name in ("environ", "argv")):
            yield name
        yield from read_at_import(node)


def guarded(statement: ast.stmt) -> bool:
    """``if __name__ == "__main__"``, and what only a type checker sees."""
    return isinstance(statement, ast.If) and ast.unparse(statement.test) in (
        "__name__ == '__main__'",
        "TYPE_CHECKING",
    )


def test_no_module_reads_at_import_what_is_a_processs_own() -> None:
    found = {}
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        tree.body = [statement for statement in tree.body if not guarded(statement)]
        if names := list(read_at_import(tree)):
            found[str(path.relative_to(SOURCE))] = names
    assert found == {}


@pytest.mark.parametrize(
    "text", ["STARTED = time.monotonic()", "class A:\n    b = [Random()]", "X = os.environ['X']"]
)
def test_variables_read_at_import_are_found(text: str) -> None:
    assert list(read_at_import(ast.parse(text)))
