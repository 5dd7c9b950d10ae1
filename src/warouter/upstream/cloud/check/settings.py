"""The step of the settings: what is accepted and dangerous, and files that cannot be read. Pure.

What is missing or malformed never gets here: it is a ConfigError, as for every process.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from warouter.cloud_settings import CloudSettings, version_end
from warouter.upstream.cloud.check.step import CheckStep, failed, ok, warning

NAME = "settings"


def judge(cloud: CloudSettings, unreadable: Sequence[str], today: date) -> CheckStep:
    """``unreadable``: variables whose files cannot be read, each with the reason."""
    if unreadable:
        return failed(
            NAME,
            f"Files cannot be read: {'; '.join(unreadable)}.",
            "Correct the path, or give this user the right to read it.",
        )
    if dangers := cloud.warnings(today):
        return warning(NAME, " ".join(dangers))
    ends = version_end(cloud.version)
    until = f"ends it on {ends}" if ends else "has said of no end that is known here"
    return ok(NAME, f"They are complete. The version is {cloud.version}; Meta {until}.")
