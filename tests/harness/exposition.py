"""A strict reader of Prometheus's text format 0.0.4: what is not exactly right is an error."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import NamedTuple

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_HELP = re.compile(rf"# HELP ({_NAME}) ((?:[^\\]|\\\\|\\n)*)")
_TYPE = re.compile(rf"# TYPE ({_NAME}) (counter|gauge)")
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
_SAMPLE = re.compile(
    rf"({_NAME})(?:\{{({_LABEL}(?:,{_LABEL})*)\}})? (-?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?)"
)
_ONE_LABEL = re.compile(r'([a-zA-Z0-9_]+)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


class Value(NamedTuple):
    name: str
    labels: dict[str, str]
    value: float


def read(text: str) -> list[Value]:
    """Every sample; AssertionError when the text breaks a rule of the format."""
    assert text.endswith("\n") or not text
    values: list[Value] = []
    typed: set[str] = set()
    seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()
    current = ""
    lines = text.split("\n")[:-1]
    for before, line in zip(["", *lines], lines, strict=False):
        if match := _HELP.fullmatch(line):
            assert match[1] not in typed, f"{match[1]} stands in two groups"
            current = match[1]
        elif match := _TYPE.fullmatch(line):
            assert match[1] == current, f"TYPE of {match[1]} does not follow its HELP"
            assert before.startswith("# HELP ")
            typed.add(current)
        else:
            match = _SAMPLE.fullmatch(line)
            assert match, f"no sample: {line!r}"
            assert match[1] == current, f"{match[1]} is not of the group {current}"
            assert current in typed, f"{current} has no TYPE"
            labels = {k: _plain(v) for k, v in _ONE_LABEL.findall(match[2] or "")}
            key = (current, frozenset(labels.items()))
            assert key not in seen, f"the series {key} stands twice"
            seen.add(key)
            values.append(Value(current, labels, float(match[3])))
    return values


def promtool_complaints(text: str) -> list[str] | None:
    """What `promtool check metrics` has to say; None when there is no promtool."""
    if shutil.which("promtool") is None:
        return None
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30
    )
    return [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]


def _plain(value: str) -> str:
    return re.sub(r"\\.", lambda m: _ESCAPES[m[0]], value)
