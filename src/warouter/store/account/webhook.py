"""What operators ask of the coreapps' callbacks: a test, or a try of what waits, at once.

Coreapps have the webhook's secrets and its way through the network, so nobody else needs them. They
are asked by a NOTIFY: who does not hear it, because it has no connection, does not do it.
"""

from __future__ import annotations

from secrets import token_hex

from warouter.store import locks
from warouter.store.database import Source

_TEST = "webhook test "  # and the test's name: the payload of NOTIFY
RETRY = "callback retry"


def test_of(hint: str) -> str:
    """The name of the test that a hint asks for; "" if it asks for none."""
    return hint.removeprefix(_TEST) if hint.startswith(_TEST) else ""


async def ask_test(connection: Source) -> str:
    """Ask all coreapps for a test callback; returns its name.

    How each ended stands beside its report within seconds (``views.webhook``).
    """
    name = token_hex(4)
    await connection.execute("select pg_notify($1, $2)", locks.CHANNEL, _TEST + name)
    return name


async def ask_retry(connection: Source) -> None:
    """Ask all coreapps to try at once what waits, for its back-off or for an outage to end."""
    await connection.execute("select pg_notify($1, $2)", locks.CHANNEL, RETRY)
