"""Commands in documents: blocks of them by section and mark, and the command that words name."""

from __future__ import annotations

import re
from pathlib import Path

import click

from warouter.cli import cli

DOCS = Path(__file__).parents[2] / "docs"


def section(page: str, heading: str) -> str:
    """What stands under a heading of the second level; KeyError if the page has none such."""
    parts = re.split(r"^## (.+)\n", (DOCS / page).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[heading]


def script(text: str, *marks: str) -> str:
    """The blocks ``sh`` and those ``sh MARK`` with one of these marks, in their order."""
    blocks = re.findall(r"^```sh *(.*)\n((?:(?!```).*\n)*)```$", text, re.MULTILINE)
    return "\n".join(body for mark, body in blocks if mark in ("", *marks))


def found(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command of ``warouter`` that the first words name, and the words behind them."""
    command: click.Command = cli
    context, left = click.Context(cli), list(words)
    while isinstance(command, click.Group) and left and left[0] in command.list_commands(context):
        named = command.get_command(context, left.pop(0))
        assert named is not None
        command = named
    return command, left
