"""The number of a local cluster with the Cloud API: registered by itself once the Graph API says
that it is connected.
"""

from __future__ import annotations

from typing import NamedTuple

from warouter.cloud_number import FIRST
from warouter.config import Settings
from warouter.errors import WarouterError
from warouter.store.account.accounts import Accounts
from warouter.store.database import create_pool
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.number_calls import NumberCalls
from warouter.upstream.cloud.secrets import Secrets


class NumberParts(NamedTuple):
    """A number's country code and the rest, digits only."""

    cc: str
    phone_number: str


async def registered(settings: Settings, cert: str, default: NumberParts) -> NumberParts | None:
    """The number that is registered, by now at the latest; None if there is none yet.

    ``default`` is registered where the Graph API names no number. Raises what a database and
    ``create_pool`` raise.
    """
    async with await create_pool(settings, "seed", 1) as pool:
        accounts = Accounts(pool)
        account = await accounts.account(FIRST)
        if account is not None:
            return NumberParts(account.cc, account.phone_number)
        shown = await _connected(settings)
        if shown is None:
            return None
        number = parts_of(shown) or default
        await accounts.save_account(FIRST, *number, cert, None)
        return number


def parts_of(shown: str) -> NumberParts | None:
    """The parts of a number as people write it, None for what is none."""
    import phonenumbers  # only here: who has no such number need not wait for it

    try:
        parsed = phonenumbers.parse(shown if shown.startswith("+") else f"+{shown}")
    except phonenumbers.NumberParseException:
        return None
    national = phonenumbers.national_significant_number(parsed)
    return NumberParts(str(parsed.country_code), national)


async def _connected(settings: Settings) -> str | None:
    """The number as the Graph API shows it, None unless it is connected."""
    of = settings.number_cloud
    calls = Calls(settings.cloud, Secrets(of))
    try:
        known = await NumberCalls(calls).named(of)
    except WarouterError:
        return None  # asked again later; coreapps say in their logs what is wrong
    finally:
        await calls.close()
    return known.number if known.connected else None
