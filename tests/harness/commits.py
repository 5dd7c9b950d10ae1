"""Holds the messages of commits to the rule of CONTRIBUTING.md; `make lint` runs this as a program.

It looks at the commits after ``BASE``; in a shallow clone, without it, at the last one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
BASE = "98bb9b4062dc2557f868661d46f369e222eec003"
LONGEST_SUBJECT = 72
_OF_A_MACHINE = re.compile(r"(?<![\w./-])/(?:home|Users|root|work)/\w")
_FORM = "%x1e%h%x1f%P%x1f%s%x1f%b"


def faults(subject: str, body: str, parents: int) -> Iterator[str]:
    """A sentence for each thing that is wrong with a commit's message."""
    if len(subject) > LONGEST_SUBJECT:
        yield f"the subject has {len(subject)} characters, at most {LONGEST_SUBJECT} are allowed"
    if not subject[:1].isupper() or subject.endswith("."):
        yield "the subject begins with a capital letter and has no full stop at its end"
    if re.match(r"(?i)(?:wip\b|fixup!|squash!)", subject):
        yield "a commit that goes in is finished: squash it"
    if not body.strip():
        yield "a body says why"
    if parents > 1:
        yield "rebase: no merge commits"
    if found := _OF_A_MACHINE.search(f"{subject}\n{body}"):
        yield f"{found[0]}… is a path of somebody's machine"


def _git(*arguments: str) -> str | None:
    """What git prints; None if it fails or is not there."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout


def main() -> int:
    known = _git("merge-base", "--is-ancestor", BASE, "HEAD") is not None
    said = _git("log", f"--format={_FORM}", *([f"{BASE}..HEAD"] if known else ["-1", "HEAD"]))
    if said is None:
        print("commits: not run (no repository is here)")
        return 0
    wrong = [
        f"{name} {subject}: {fault}"
        for name, parents, subject, body in (one.split("\x1f") for one in said.split("\x1e")[1:])
        for fault in faults(subject, body, len(parents.split()))
    ]
    print("\n".join(wrong) or "commits: all messages fit")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
