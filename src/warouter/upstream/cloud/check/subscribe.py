"""Has webhooks of a number sent to a URL, and says what became of it."""

from __future__ import annotations

from warouter.cloud_number import NumberCloud
from warouter.upstream.cloud.check import asking, callback
from warouter.upstream.cloud.check.step import CheckStep, ended, failed, ok
from warouter.upstream.cloud.graph.account_calls import AccountCalls
from warouter.upstream.cloud.graph.failed import CallFailed

NAME = "subscribe"


async def subscribe(
    account: AccountCalls, of: NumberCloud, app: str, url: str, verify_token: str
) -> CheckStep:
    """Subscribe the token's app unless it is (``app`` is its id, "" if nobody says), and set the
    URL, at which Meta asks it at once. Whatever fails leaves the URL that was set before.
    """
    try:
        apps = await account.apps(of)
        newly = not apps or bool(app and app not in apps)
        if newly:
            await account.subscribe(of)
    except CallFailed as error:
        return failed(
            NAME,
            f"Meta does not subscribe the app to the account: {ended(error.words)}",
            "Try again."
            if error.passing
            else "Give the token whatsapp_business_management for this account.",
        )
    refusal = await _override(account, of, url, verify_token)
    if refusal is not None and not refusal.passing:
        found = await asking.handshake(url, verify_token)
        return failed(NAME, f"Meta refused {url}: {ended(refusal.words)}", callback.hint(found))
    try:
        set_now = (await account.callbacks(of)).number
    except CallFailed as error:
        return failed(
            NAME, f"Meta does not say which URL is set: {ended(error.words)}", "Try again."
        )
    if set_now != url:
        shows = f"shows {set_now}" if set_now else "shows none"
        lost = "did not answer, and" if refusal is not None else f"took {url}, but"
        return failed(NAME, f"Meta {lost} {shows} for the number.", "Try again in a minute.")
    first = "The app is subscribed now. " if newly else ""
    return ok(NAME, f"{first}Meta asked {url}, was answered, and calls it for this number.")


async def _override(
    account: AccountCalls, of: NumberCloud, url: str, verify_token: str
) -> CallFailed | None:
    try:
        await account.override(of, url, verify_token)
    except CallFailed as error:  # without an answer it may be set all the same
        return error
    return None
