"""The settings that a coreapp follows: callbacks, webhook CA, collections, its log level.

What an event or a message asks for is in the settings of its number, which are all read at once: a
number without a row has the defaults. Webhook and CA are number 1's, and so is what acts on the
process.

And what operators ask of its callbacks, which moves the same counter.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from warouter.app_settings import APPLICATION, WEBHOOK_CA, ApplicationSettings, effective
from warouter.cloud_number import FIRST
from warouter.node.setting_changes import ApplicationFields, ProcessFields, adopt
from warouter.owner.callbacks.feed import CallbackFeed
from warouter.registered_webhook import RegisteredWebhook, registered
from warouter.store.account.callback_requests import CallbackRequest, CallbackRequests
from warouter.store.aside import read_settings
from warouter.store.bounded import Fetch
from warouter.stored import text_of

log = logging.getLogger(__name__)

DEFAULT = ApplicationSettings()


class InForce:
    """The settings of all numbers, and number 1's of its webhook, as this coreapp has them."""

    def __init__(self) -> None:
        self.applications: dict[int, ApplicationSettings] = {}
        self.webhook_ca = ""
        self.registered: RegisteredWebhook | None = None

    def of(self, number: int) -> ApplicationSettings:
        """Those of a number."""
        return self.applications.get(number, DEFAULT)

    def now(self) -> ApplicationSettings:
        """Those of number 1."""
        return self.of(FIRST)


class CoreappSettings:
    """A coreapp's: what is called back and how, the webhook's CA, collections, its log level.

    ``collectors`` remove what is old, each when it is called.
    """

    def __init__(
        self,
        fetch: Fetch,
        in_force: InForce,
        feed: CallbackFeed,
        collectors: Sequence[Callable[[], None]],
        level: str,
    ) -> None:
        self._fetch = fetch
        self._wishes = CallbackRequests(fetch)
        self._in_force = in_force
        self._feed = feed
        self._collectors = collectors
        self._process = ProcessFields(level)
        self._others: dict[int, ApplicationFields] = {}  # by number
        self._collections: int | None = None  # how often PUT services/message/gc was called

    async def adopt(self) -> None:
        """Each for itself: one that cannot be used leaves its last good value."""
        others, stored, collections = await read_settings(self._fetch, APPLICATION, [WEBHOOK_CA])
        adopt(APPLICATION, partial(self._adopt_application, stored[APPLICATION]))
        self._adopt_others(others)
        adopt(APPLICATION, partial(self._adopt_registered, stored[APPLICATION]))
        adopt(WEBHOOK_CA, partial(self._trust, stored[WEBHOOK_CA]))
        adopt(APPLICATION, partial(self._feed.settings_changed, self._in_force.registered))
        if self._collections not in (None, collections):
            for collect in self._collectors:
                collect()
        self._collections = collections
        for number, wish in await self._wishes.news():
            if wish is CallbackRequest.TEST:
                self._feed.try_out(str(number))
            else:
                self._feed.hurry()

    def _adopt_application(self, stored: Any) -> None:
        self._in_force.applications[FIRST] = effective(self._process.adopt(stored))

    def _adopt_others(self, stored: Mapping[int, Any]) -> None:
        for number in self._others.keys() - stored.keys():
            del self._others[number]
            self._in_force.applications.pop(number, None)
        for number, value in stored.items():
            adopt(APPLICATION, partial(self._adopt_other, number, value))

    def _adopt_other(self, number: int, stored: Any) -> None:
        fields = self._others.setdefault(number, ApplicationFields(number)).adopt(stored)
        self._in_force.applications[number] = effective(fields)

    def _adopt_registered(self, stored: Any) -> None:
        if isinstance(stored, Mapping):
            self._in_force.registered = registered(stored)

    def _trust(self, stored: Any) -> None:
        ca = text_of(stored, "pem") if stored != {} else ""
        if ca is None:
            raise ValueError("it is not PEM text")
        if ca == self._in_force.webhook_ca:
            return
        self._feed.callbacks.receiver.trust(ca)
        self._in_force.webhook_ca = ca
        log.info("webhook CA activated", extra={"configured": bool(ca)})
