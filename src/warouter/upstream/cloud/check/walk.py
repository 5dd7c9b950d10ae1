"""All steps in their order. A step that needs one that failed is not taken."""

from __future__ import annotations

import contextlib
import os
import time
from datetime import date

from warouter.cloud_number import NumberCloud
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


async def walk(
    cloud: CloudSettings, of: NumberCloud, secrets: Secrets, url: str = ""
) -> list[CheckStep]:
    """Every step for number ``of``; with ``url`` it becomes its callback URL on the way."""
    calls = Calls(cloud, secrets)
    try:
        steps = await _Walk(cloud, of, secrets, calls, url).taken()
    finally:
        await calls.close()
    hidden = (secrets.token(of), *secrets.app_secrets(of.app), secrets.verify_token(of.app))
    return [shown(step, hidden) for step in steps]


class _Walk:
    def __init__(
        self, cloud: CloudSettings, of: NumberCloud, secrets: Secrets, calls: Calls, url: str
    ) -> None:
        self._cloud = cloud
        self._of = of
        self._secrets = secrets
        self._calls = calls
        self._url = url
        self._app = App(calls, secrets)
        self._account = AccountCalls(calls)
        self._steps: list[CheckStep] = []
        self._ahead = 0.0  # seconds, of our clock before Meta's
        self._fields: frozenset[str] | None = None  # of webhooks, None if nobody says

    async def taken(self) -> list[CheckStep]:
        cloud, of = self._cloud, self._of
        self._add(settings.judge(cloud, _unreadable(cloud), date.today()))
        first = await asking.contact(f"{cloud.base_url}/{of.app.version}/{of.phone_number_id}")
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
        self._add(token.judge_permissions(facts, of.waba_id))
        self._add(step)
        level = await self._number()
        lacks_account = (await self._has_number()).failed
        ground = number.NAME if level is None else account.NAME if lacks_account else ""
        await self._callbacks(app, ground)
        if level is None:
            return self._ended(number.NAME)
        self._add(number.judge_throughput(level, of.rate))
        return self._steps

    async def _token(self) -> TokenFacts | None:
        try:
            facts = await self._app.token(self._of)
        except CallFailed as error:
            self._add(token.judge_refusal(error))
            return None
        self._add(token.judge(facts, time.time() - self._ahead))
        return facts

    async def _app_id(self) -> str:
        """The token's app where `debug_token` does not name it, "" if nothing does."""
        try:
            return await self._app.id(self._of)
        except CallFailed:
            return ""

    async def _token_by_app(self, app: str, app_secret: str) -> TokenFacts | None:
        """Ask about the token in the app's name, as it may not ask about itself."""
        with contextlib.suppress(CallFailed):
            return await self._app.token(self._of, f"{app}|{app_secret}")
        return None

    async def _secret(self, app: str) -> tuple[CheckStep, str]:
        """The step, and a secret that is the app's, "" if none is known to be."""
        if not app:
            return secret.unknown("nor which app the token is for"), ""
        secrets = self._secrets.app_secrets(self._of.app)
        try:
            right = [await self._app.has_secret(self._of, app, one) for one in secrets]
        except CallFailed as error:
            return secret.unknown(error.words), ""
        good = secrets[right.index(True)] if any(right) else ""
        if good:
            with contextlib.suppress(CallFailed):
                self._fields = await self._app.fields(self._of, app, good)
        return secret.judge(app, right), good

    async def _number(self) -> str | None:
        """Look at the number: its level, None if there is no such number."""
        id = self._of.phone_number_id
        try:
            found = await NumberCalls(self._calls).facts(self._of)
        except CallFailed as error:
            self._add(number.judge_refusal(error, id))
            return None
        self._add(number.judge(found, id))
        return found.throughput

    async def _has_number(self) -> CheckStep:
        of = self._of
        try:
            name, numbers = await self._account.name(of), await self._account.numbers(of)
        except CallFailed as error:
            return self._add(account.judge_refusal(error, of.waba_id))
        return self._add(account.judge(of.waba_id, name, numbers, of.phone_number_id))

    async def _callbacks(self, app: str, ground: str) -> None:
        """``ground`` is what they need and is not there, "" if all is."""
        if ground:
            if self._url:
                self._add(skipped(subscribe.NAME, ground))
            self._add(skipped(webhooks.NAME, ground))
            self._add(skipped(callback.NAME, ground))
            return
        verify_token = self._secrets.verify_token(self._of.app)
        if self._url:
            asked = self._of, app, self._url, verify_token
            self._add(await subscribe.subscribe(self._account, *asked))
        used = await self._webhooks(app)
        if not used:
            self._add(skipped(callback.NAME, webhooks.NAME))
        elif not webhooks.is_ours(used):  # the URL may be a stranger's, who is told no verify token
            self._add(callback.unasked())
        else:
            self._add(callback.judge(await asking.handshake(used, verify_token)))

    async def _webhooks(self, app: str) -> str:
        """The URL that Meta calls, "" if it calls none."""
        try:
            apps = await self._account.apps(self._of)
            callbacks = await self._account.callbacks(self._of)
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
