"""docs/cloud.md and docs/migration.md: each command, variable, metric and call on them exists."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from tests.harness.blocks import DOCS, found
from tests.harness.documented import rows
from warouter.metric_catalogue import CATALOGUE
from warouter.variables import GROUPS

PAGES = ("cloud.md", "migration.md")
VARIABLES = {variable.name for group in GROUPS for variable in group.variables}
TEXT = {page: (DOCS / page).read_text() for page in PAGES}


@pytest.mark.parametrize("page", PAGES)
def test_each_command_has_the_options_that_it_is_given(page: str) -> None:
    """Not all that it needs: the text often names it alone."""
    inline = re.findall(r"`(warouter [a-z][^`]*)`", TEXT[page])
    blocks = re.findall(r"^[ $(]*(?:\S*/bin/)?(warouter [a-z][^#|>\n]*)", TEXT[page], re.MULTILINE)
    assert len(inline) > 5
    for text in (*inline, *blocks):
        command, words = found(shlex.split(text)[1:])
        unknown = isinstance(command, click.Group) and words and not words[0].startswith("-")
        assert not unknown, text
        known = {name for param in command.params for name in param.opts} | {"--help"}
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert given <= known, text


@pytest.mark.parametrize("page", PAGES)
def test_each_variable_exists(page: str) -> None:
    named = set(re.findall(r"\b(?:WA|WAROUTER|WEBAPP|COREAPP)_[A-Z_]*[A-Z]\b", TEXT[page]))
    assert sorted(named - VARIABLES) == []


@pytest.mark.parametrize("page", PAGES)
def test_each_metric_exists(page: str) -> None:
    named = re.findall(r"`(warouter_[a-z_]+[a-z])\b", TEXT[page])
    assert sorted(set(named) - CATALOGUE.keys()) == []


@pytest.mark.parametrize("page", PAGES)
def test_each_call_of_the_api_exists(page: str) -> None:
    """But for 360dialog's own."""
    known = [(method, re.sub(r"\{\w+\}", r"[^/]+", path)) for method, path in rows()]
    called = re.findall(r"\b(GET|PUT|POST|PATCH|DELETE) (?:\$URL)?(/v1/[\w/{}-]+)", TEXT[page])
    assert len(called) > 4
    for method, path in called:
        is_here = any(m == method and re.fullmatch(p, path) for m, p in known)
        assert is_here or path.startswith("/v1/configs/"), f"{method} {path}"
