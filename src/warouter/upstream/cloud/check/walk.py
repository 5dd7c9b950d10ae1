"""All steps in their order. A step that needs one that failed is not taken."""

from __future__ import annotations

import contextlib
import os
import time
from datetime import date

from warouter.cloud_settings import CloudSettings
from warouter.upstream.cloud.check import (
    account,
    asking,
    callback,
    number,
    reach,
    secret,
    settings,
    subscribe,
    token,
    webhooks,
)
from warouter.upstream.cloud.check.step import CheckStep, shown, skipped
from warouter.upstream.cloud.graph.account_calls import AccountCalls
from warouter.upstream.cloud.graph.app_calls import App
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.described import TokenFacts
from warouter.upstream.cloud.graph.failed import CallFailed
from warouter.upstream.cloud.graph.number_calls import NumberCalls
from warouter.upstream.cloud.secrets import Secrets

# Steps behind the clock, which no other needs; with `subscribe` if it was asked for.
_ORDER = (
    reach.CLOCK,
    token.NAME,
    token.PERMISSIONS,
    secret.NAME,
    number.NAME,
    account.NAME,
    subscribe.NAME,
    webhooks.NAME,
    callback.NAME,
    number.THROUGHPUT,
)


async def walk(cloud: CloudSettings, secrets: Secrets, url: str = "") -> list[CheckStep]:
    """Every step; with ``url`` it becomes the number's callback URL on the way."""
    calls = Calls(cloud, secrets)
    try:
        steps = await _Walk(cloud, secrets, calls, url).taken()
    finally:
        await calls.close()
    hidden = (secrets.token, *secrets.app_secrets, secrets.verify_token)
    return [shown(step, hidden) for step in steps]


class _Walk:
    def __init__(self, cloud: CloudSettings, secrets: Secrets, calls: Calls, url: str) -> None:
        self._cloud = cloud
        self._secrets = secrets
        self._calls = calls
        self._url = url
        self._app = App(cloud, calls, secrets)
        self._account = AccountCalls(cloud, calls)
        self._steps: list[CheckStep] = []
        self._ahead = 0.0  # seconds, of our clock before Meta's
        self._fields: frozenset[str] | None = None  # of webhooks, None if nobody says

    async def taken(self) -> list[CheckStep]:
        cloud = self._cloud
        self._add(settings.judge(cloud, _unreadable(cloud), date.today()))
        first = await asking.contact(f"{cloud.base_url}/{cloud.version}/{cloud.phone_number_id}")
        if self._add(reach.judge(cloud.base_url, first)).failed:
            return self._ended(reach.NAME)
        self._add(reach.judge_clock(first))
        self._ahead = reach.clock_ahead(first) or 0.0
        facts = await self._token()
        if self._steps[-1].failed:
            return self._ended(token.NAME)
        app = facts.app_id if facts is not None else await self._app_id()
        step, secret_of_app = await self._secret(app)
        if facts is None and secret_of_app:
            facts = await self._token_by_app(app, secret_of_app)
        self._add(token.judge_permissions(facts, cloud.waba_id))
        self._add(step)
        level = await self._number()
        lacks_account = (await self._has_number()).failed
        ground = number.NAME if level is None else account.NAME if lacks_account else ""
        await self._callbacks(app, ground)
        if level is None:
            return self._ended(number.NAME)
        self._add(number.judge_throughput(level, cloud.rate))
        return self._steps

    async def _token(self) -> TokenFacts | None:
        try:
            facts = await self._app.token()
        except CallFailed as error:
            self._add(token.judge_refusal(error))
            return None
        self._add(token.judge(facts, time.time() - self._ahead))
        return facts

    async def _app_id(self) -> str:
        """The token's app where `debug_token` does not name it, "" if nothing does."""
        try:
            return await self._app.id()
        except CallFailed:
            return ""

    async def _token_by_app(self, app: str, app_secret: str) -> TokenFacts | None:
        """Ask about the token in the app's name, as it may not ask about itself."""
        with contextlib.suppress(CallFailed):
            return await self._app.token(f"{app}|{app_secret}")
        return None

    async def _secret(self, app: str) -> tuple[CheckStep, str]:
        """The step, and a secret that is the app's, "" if none is known to be."""
        if not app:
            return secret.unknown("nor which app the token is for"), ""
        try:
            right = [await self._app.has_secret(app, one) for one in self._secrets.app_secrets]
        except CallFailed as error:
            return secret.unknown(error.words), ""
        good = self._secrets.app_secrets[right.index(True)] if any(right) else ""
        if good:
            with contextlib.suppress(CallFailed):
                self._fields = await self._app.fields(app, good)
        return secret.judge(app, right), good

    async def _number(self) -> str | None:
        """Look at the number: its level, None if there is no such number."""
        try:
            found = await NumberCalls(self._cloud, self._calls).facts()
        except CallFailed as error:
            self._add(number.judge_refusal(error, self._cloud.phone_number_id))
            return None
        self._add(number.judge(found, self._cloud.phone_number_id))
        return found.throughput

    async def _has_number(self) -> CheckStep:
        cloud = self._cloud
        try:
            name, numbers = await self._account.name(), await self._account.numbers()
        except CallFailed as error:
            return self._add(account.judge_refusal(error, cloud.waba_id))
        return self._add(account.judge(cloud.waba_id, name, numbers, cloud.phone_number_id))

    async def _callbacks(self, app: str, ground: str) -> None:
        """``ground`` is what they need and is not there, "" if all is."""
        if ground:
            if self._url:
                self._add(skipped(subscribe.NAME, ground))
            self._add(skipped(webhooks.NAME, ground))
            self._add(skipped(callback.NAME, ground))
            return
        if self._url:
            verify_token = self._secrets.verify_token
            self._add(await subscribe.subscribe(self._account, app, self._url, verify_token))
        used = await self._webhooks(app)
        if not used:
            self._add(skipped(callback.NAME, webhooks.NAME))
        elif not webhooks.is_ours(used):  # the URL may be a stranger's, who is told no verify token
            self._add(callback.unasked())
        else:
            self._add(callback.judge(await asking.handshake(used, self._secrets.verify_token)))

    async def _webhooks(self, app: str) -> str:
        """The URL that Meta calls, "" if it calls none."""
        try:
            apps, callbacks = await self._account.apps(), await self._account.callbacks()
        except CallFailed as error:
            self._add(webhooks.judge_refusal(error))
            return ""
        step = self._add(webhooks.judge(apps, app, self._fields, callbacks, self._cloud.base_url))
        return "" if step.failed else callbacks.used

    def _add(self, step: CheckStep) -> CheckStep:
        self._steps.append(step)
        return step

    def _ended(self, ground: str) -> list[CheckStep]:
        """The steps so far, and those behind them, which cannot be taken."""
        taken = {step.step for step in self._steps}
        left = [n for n in _ORDER if n not in taken and (n != subscribe.NAME or self._url)]
        return [*self._steps, *(skipped(name, ground) for name in left)]


def _unreadable(cloud: CloudSettings) -> list[str]:
    """The variables of the listener whose files this user cannot read; secrets were read before."""
    files = {
        "WAROUTER_CLOUD_TLS_CERT": cloud.tls_cert,
        "WAROUTER_CLOUD_TLS_KEY": cloud.tls_key,
        "WAROUTER_CLOUD_MTLS_CA": cloud.mtls_ca,
    }
    return [
        f"{name} ({path})" for name, path in files.items() if path and not os.access(path, os.R_OK)
    ]
