"""The settings that a coreapp follows: callbacks, webhook CA, collections, its log level.

And what operators ask of its callbacks, which moves the same counter.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from warouter.app_settings import APPLICATION, WEBHOOK_CA, ApplicationSettings, effective
from warouter.node.setting_changes import ApplicationFields, adopt
from warouter.owner.callbacks.feed import CallbackFeed
from warouter.registered_webhook import RegisteredWebhook, registered
from warouter.store.account.callback_requests import CallbackRequest, CallbackRequests
from warouter.store.aside import settings_of
from warouter.store.bounded import Fetch
from warouter.stored import text_of

log = logging.getLogger(__name__)

FOLLOWED = (APPLICATION, WEBHOOK_CA)


class InForce:
    """The settings of the application and of its webhook as this coreapp has them."""

    def __init__(self) -> None:
        self.application = ApplicationSettings()
        self.webhook_ca = ""
        self.registered: RegisteredWebhook | None = None

    def now(self) -> ApplicationSettings:
        return self.application


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
        self._application = ApplicationFields(level)
        self._collections: int | None = None  # how often PUT services/message/gc was called

    async def adopt(self) -> None:
        """Each for itself: one that cannot be used leaves its last good value."""
        stored, collections = await settings_of(self._fetch, FOLLOWED)
        adopt(APPLICATION, partial(self._adopt_application, stored[APPLICATION]))
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
        self._in_force.application = effective(self._application.adopt(stored))

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
