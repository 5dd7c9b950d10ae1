"""docs/3am.md: each command, metric, sentence and variable on it exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.harness.blocks import found
from tests.harness.documented import rows
from warouter.metric_catalogue import CATALOGUE
from warouter.variables import GROUPS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "3am.md").read_text()
BLOCKS = "\n".join(re.findall(r"^```\w*\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
VARIABLES = {variable.name for group in GROUPS for variable in group.variables}
SAMPLE = r"^(\w+)(?:\{[^}]*\})? [\d.]+$"

# In blocks behind a prompt, elsewhere in backquotes; up to what a shell would do with its output.
COMMANDS = sorted(
    {
        *re.findall(r"^\$ (warouter [^|;\n]+)", BLOCKS, re.MULTILINE),
        *re.findall(r"`(warouter [a-z][^`]*)`", PAGE),
    }
)


@pytest.mark.parametrize("text", COMMANDS)
def test_each_command_is_understood(text: str) -> None:
    name, *words = shlex.split(text)
    command, words = found(words)
    command.make_context(name, words)


def test_there_are_commands_to_look_at() -> None:
    looked_at = {text.split()[1] for text in COMMANDS}
    assert looked_at >= {"status", "trace", "callbacks", "audit"}


def test_each_metric_exists() -> None:
    shown = re.findall(SAMPLE, BLOCKS, re.MULTILINE)
    named = re.findall(r"`((?:warouter|callback|pending|endpoint|web)_[a-z_]+)", PAGE)
    assert len(shown) > 20
    assert sorted({*shown, *named} - CATALOGUE.keys()) == []


def test_outputs_are_those_of_their_commands() -> None:
    """Lines of statistics are what the pattern of their command lets through."""
    asked = re.findall(
        r"^\$ (?:stats|curl)[^|]*\| grep (?:-E )?(?:'([^']+)'|(\S+))(?: \|.*)?\n((?:\w.*\n)+)",
        BLOCKS,
        re.MULTILINE,
    )
    assert len(asked) > 6
    for quoted, plain, output in asked:
        lines = output.splitlines()
        assert [line for line in lines if not re.search(quoted or plain, line)] == []
        assert all(re.match(SAMPLE, line) for line in lines)


def test_each_sentence_of_the_api_is_said() -> None:
    said = " ".join(
        re.sub(r'"\s*f?"', "", file.read_text()) for file in (ROOT / "src").rglob("*.py")
    )
    sentences = re.findall(r"^\| [\d, ]+ \| `(.+?)` \|", PAGE, re.MULTILINE)
    assert len(sentences) > 5
    assert [sentence for sentence in sentences if sentence not in said] == []


def test_each_variable_exists() -> None:
    named = set(re.findall(r"\b(?:WA|WAROUTER|WEBAPP|COREAPP)_[A-Z_]+\b", PAGE))
    assert sorted(named - VARIABLES) == []


def test_each_call_of_the_api_exists() -> None:
    known = [(method, re.sub(r"\{\w+\}", r"\\w+", path)) for method, path in rows()]
    called = re.findall(r"\b(GET|PUT|POST|PATCH|DELETE) (?:\$URL)?(/v1/[\w/]+)", PAGE)
    assert len(called) > 4
    for method, path in called:
        assert any(m == method and re.fullmatch(p, path) for m, p in known), f"{method} {path}"
