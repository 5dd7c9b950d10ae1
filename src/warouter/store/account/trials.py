"""Test callbacks, as operators ask for them: every coreapp sends one, and says how it ended.

Coreapps have the webhook's secrets and its way through the network, so nobody else needs them. What
each has to say stands beside its report within seconds (``views.webhook``).
"""

from __future__ import annotations

from secrets import token_hex

from warouter.store import locks
from warouter.store.database import Source

_ASKED = "webhook test "  # and the test's name: the payload of NOTIFY


def trial_of(hint: str) -> str:
    """The name of the test that a hint asks for; "" if it asks for none."""
    return hint.removeprefix(_ASKED) if hint.startswith(_ASKED) else ""


async def ask(connection: Source) -> str:
    """Ask all coreapps for a test callback; returns its name."""
    name = token_hex(4)
    await connection.execute("select pg_notify($1, $2)", locks.CHANNEL, _ASKED + name)
    return name
