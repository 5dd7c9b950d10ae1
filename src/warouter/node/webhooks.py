"""The listener of Meta's webhooks in a webapp: its parts, and the calls between them."""

from __future__ import annotations

import resource
import time
from collections.abc import Coroutine
from typing import Any

from warouter.cloud_number import NumberCloud
from warouter.cloud_settings import CloudSettings
from warouter.config import Settings
from warouter.errors import CommandError, NotReady
from warouter.http.intake import CONNECTIONS, WebhookIntake
from warouter.link.offers import StatusOffers
from warouter.metrics import Sample
from warouter.net.sockets import not_taken
from warouter.node.runtime import ProcessIdentity
from warouter.store.cloud.posts import Posts
from warouter.store.cloud.receive import WebhookInbox
from warouter.tls.server import ServerTls, follow
from warouter.upstream.cloud.batch import Modes
from warouter.upstream.cloud.listener import WebhookListener
from warouter.upstream.cloud.secrets import Secrets

_LISTENS = ("WAROUTER_CLOUD_LISTEN", "WAROUTER_CLOUD_LISTEN")
AGAIN_SECONDS = 60
_NEVER = {"taken": 0, "wrong_signature": 0}  # a rate needs a zero first


class CloudWebhooks:
    """Made when the upstream is the Cloud API; it shares nothing with the API but the process, and
    the links to the owners of slots.
    """

    def __init__(self, settings: Settings, identity: ProcessIdentity, owners: StatusOffers) -> None:
        cloud = self._cloud = settings.cloud
        of = self.of = settings.number_cloud
        self.secrets = Secrets(of)
        self._inbox = WebhookInbox(
            settings, identity.application, identity.incarnation, cloud.bsuid, {of.id: of}
        )
        self._posts = Posts(self._inbox, owners)
        self._listener = WebhookListener(
            {of.phone_number_id: of.id},
            lambda: self.secrets.app_secrets(of.app),
            lambda: self.secrets.verify_token(of.app),
            self._posts,
            Modes(cloud.standby, cloud.echoes),
            app=of.app.id,
        )
        self._intake = WebhookIntake(
            self._listener, client_name=cloud.mtls_name, connections=_connections()
        )
        self._tls = tls_of(cloud)

    def number(self, number: int) -> NumberCloud:
        """The number as the Cloud API has it; NotReady (503) if that is not known."""
        if number != self.of.id:
            raise NotReady("the number has no place at Meta yet", retry_after=AGAIN_SECONDS)
        return self.of

    async def open(self) -> None:
        """Listen; CommandError if that cannot be."""
        await self._inbox.open()
        host, port = self._cloud.listen
        context = self._tls.context if self._tls else None
        try:
            await self._intake.open(host, port, context)
        except OSError as error:
            raise CommandError(not_taken(error, port, host, _LISTENS)) from error

    def work(self) -> dict[str, Coroutine[Any, Any, None]]:
        """The tasks that run as long as the process does, by name."""
        return {
            "webhook commits": self._posts.run(),
            "webhook connections": self._intake.sweep(),
            **({"webhook certificate": follow(self._tls)} if self._tls else {}),
            "secrets": self.secrets.follow(),
        }

    async def leave(self) -> None:
        """Answer what came; nobody connects any more."""
        await self._intake.leave()

    async def close(self) -> None:
        """Once its ``work`` has ended."""
        await self._posts.close()

    def samples(self) -> list[Sample]:
        counts = (
            ("warouter_cloud_webhooks_total", "result", {**_NEVER, **self._listener.counts}),
            ("warouter_cloud_events_total", "kind", self._posts.counts),
            ("warouter_cloud_notices_total", "field", self._listener.notices),
            ("warouter_cloud_left_out_total", "field", self._listener.left_out),
            ("warouter_cloud_connections_dropped_total", "reason", self._intake.dropped),
        )
        age = time.monotonic() - self._listener.taken_at
        return [
            *(
                Sample(name, count, {label: value})
                for name, label, counted in counts
                for value, count in counted.items()
            ),
            Sample("warouter_cloud_webhook_age_seconds", round(age)),
        ]


def tls_of(cloud: CloudSettings) -> ServerTls | None:
    """The listener's certificate as the settings say, None for plain HTTP; CommandError."""
    if not cloud.tls_cert:
        return None
    tls = ServerTls(cloud.tls_cert, cloud.tls_key, cloud.mtls_ca)
    tls.adopt({})
    return tls


def _connections() -> int:
    """At most a quarter of the descriptors: the API and the database need the others."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(CONNECTIONS, soft // 4)
