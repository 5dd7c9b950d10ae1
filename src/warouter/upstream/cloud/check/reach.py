"""The steps of the Graph API, that it is reached, and of our clock. Pure."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from warouter.upstream.cloud.check.contact import ServerContact, remedy
from warouter.upstream.cloud.check.step import CheckStep, StepResult, failed, ok, warning

NAME, CLOCK = "Graph API", "clock"
WARN_SECONDS, FAIL_SECONDS = 5.0, 60.0
_HALF = 0.5  # the field Date has whole seconds


def judge(base_url: str, contact: ServerContact) -> CheckStep:
    """Judge if there is an answer of the Graph API: JSON, also if it refuses."""
    if contact.trouble is not None:
        words = f" ({contact.words})" if contact.words else ""
        return failed(NAME, f"{base_url} {contact.trouble.value}{words}.", remedy(contact.trouble))
    if not _is_graph(contact.body):
        return failed(
            NAME,
            f"What answers at {base_url} is not the Graph API (HTTP {contact.status}).",
            "Check WAROUTER_CLOUD_BASE_URL, and that no proxy answers in its place.",
        )
    return ok(NAME, f"{base_url} answers.")


def judge_clock(contact: ServerContact) -> CheckStep:
    """Our clock against Meta's."""
    ahead = clock_ahead(contact)
    if ahead is None:
        return CheckStep(CLOCK, StepResult.SKIPPED, "The Graph API does not say what time it is.")
    # By so much it may seem wrong when it is right.
    unsure = _HALF + (contact.heard - contact.sent) / 2
    least = abs(ahead) - unsure
    if least <= WARN_SECONDS:
        return ok(CLOCK, f"It is within {WARN_SECONDS:g} s of Meta's.")
    found = f"It is {abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} Meta's."
    todo = "Have the clock of this host set by NTP, and look at those of all others."
    return (failed if least > FAIL_SECONDS else warning)(CLOCK, found, todo)


def clock_ahead(contact: ServerContact) -> float | None:
    """Seconds by which we are ahead; None without a time to compare with."""
    try:
        met = parsedate_to_datetime(contact.date)
    except (TypeError, ValueError):
        return None
    meta = met.replace(tzinfo=met.tzinfo or UTC).timestamp() + _HALF
    return (contact.sent + contact.heard) / 2 - meta


def _is_graph(body: bytes) -> bool:
    try:
        found: Any = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and ("error" in found or "id" in found)
