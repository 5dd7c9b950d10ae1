"""Witnesses: programs of other authors in a venv of their own, asked over a pipe."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import pytest_asyncio

from tests.outside.scene import Scene
from tests.outside.scene import scene as a_scene

HERE = Path(__file__).parent
META_OPENAPI = os.environ.get("META_OPENAPI", "")
# A docstring of heyoo's has a lone surrogate, which Python 3.13 cannot compile.
FLAGS = {"write_heyoo": ("-OO",)}
ROOT = HERE.parents[1]
PYTHON = ROOT / os.environ.get("WITNESSES", ".venv-outside") / "bin/python"
assert PYTHON.exists(), f"{PYTHON} is missing: `make test-outside` makes it"


async def ask(witness: str, questions: Sequence[Any], *arguments: str) -> list[Any]:
    """What a script of ``witnesses/`` says to each question."""
    script = HERE / "witnesses" / f"{witness}.py"
    process = await asyncio.create_subprocess_exec(
        PYTHON,
        *FLAGS.get(witness, ()),
        script,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 26,
    )
    asked = "".join(json.dumps(question) + "\n" for question in questions)
    said, _ = await process.communicate(asked.encode())
    answers = [json.loads(line) for line in said.splitlines()]
    assert (process.returncode, len(answers)) == (0, len(questions)), f"{witness} ended early"
    return answers


def pytest_report_header() -> list[str]:
    """One line for .ci/run, where 80 skipped tests would be 80."""
    missing = "Meta's OpenAPI: not run (META_OPENAPI=path of Meta's file)"
    return [] if META_OPENAPI else [missing]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if META_OPENAPI:
        return
    left = [item for item in items if "openapi" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


@pytest.fixture(scope="session")
def openapi() -> dict[str, Any]:
    """Meta's file, repaired; without it whatever wants it is left out."""
    repair = [PYTHON, HERE / "repair.py", META_OPENAPI]
    said = subprocess.run(repair, check=True, stdout=subprocess.PIPE, env=os.environ)
    document: dict[str, Any] = json.loads(said.stdout)
    return document


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def scene() -> AsyncIterator[Scene]:
    async with a_scene() as found:
        yield found


def wrong_with(openapi: dict[str, Any], schema: str, body: Any) -> str:
    """What is wrong with a body by a schema of Meta's file; nothing if it is right."""
    whole = {"$ref": f"#/components/schemas/{schema}", "components": openapi["components"]}
    errors = jsonschema_rs.Draft202012Validator(whole).iter_errors(body)
    return "; ".join(error.message[:300] for error in errors)
