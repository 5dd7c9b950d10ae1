"""The fault switches of the simulator on a command line: NAME=VALUE, and the text of the help."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from warouter.errors import CommandError
from warouter.lab.simulator import faults
from warouter.lab.simulator.cloud import faults as cloud_faults
from warouter.lab.simulator.cloud.faults import LISTS

_TEXTS = frozenset(
    name for name, default, _ in cloud_faults.described() if isinstance(default, str)
)


def described() -> str:
    """Every switch of both doors with its default, for a command's help."""
    native = _listed("Fault switches, with their defaults", faults.described())
    return f"{native}\n\n{_listed('Those of --cloud', cloud_faults.described())}"


def parsed(text: str) -> tuple[str, Any]:
    """Name and value of NAME=VALUE; lists may be written with commas, texts without quotes.
    Raises CommandError.
    """
    name, equals, given = text.partition("=")
    if not equals:
        raise CommandError(f"give a switch as NAME=VALUE, not {text!r}")
    if name in _TEXTS and not given.startswith('"'):
        return name, given
    if name in LISTS and not given.startswith("["):
        return name, [number for number in given.split(",") if number]
    return name, value(given, name)


def value(text: str, what: str) -> Any:
    """The value of a JSON text; raises CommandError, which names ``what`` it is."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise CommandError(f"{what} is not JSON: {text!r}") from error


def _listed(title: str, switches: list[tuple[str, Any, str]]) -> str:
    lines = [
        textwrap.fill(f"{name} ({json.dumps(default)}): {text}", 76, subsequent_indent="    ")
        for name, default, text in switches
    ]
    return f"{title}:\n\n\b\n" + "\n".join(lines)
