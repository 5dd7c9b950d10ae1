"""The probe's own listener: that of a webapp, but for what it answers to chosen webhooks.

Signature, handshake, TLS and limits are the product's. A webhook with the ``sent`` of a message
that is on trial is answered as its trial says, each time it comes. One with anything that is not
the probe's own (what customers write, statuses of other messages), or that cannot be read, is
answered 503, so that Meta repeats it to the webapps afterwards; all others get their 200.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from warouter.background import begin
from warouter.cloud_number import NumberCloud
from warouter.cloud_settings import CloudSettings
from warouter.errors import CommandError
from warouter.http.intake import PostConnection, WebhookIntake
from warouter.lab.probe.arrivals import Arrivals, decoded, opaque
from warouter.lab.probe.observed import WebhookTrial
from warouter.node.webhooks import tls_of
from warouter.upstream.cloud.batch import STATUS, Batch
from warouter.upstream.cloud.elements import read
from warouter.upstream.cloud.listener import TAKEN, UNAVAILABLE, WebhookAnswer, WebhookListener
from warouter.upstream.cloud.secrets import Secrets

_LOOK_SECONDS = 0.02  # between two looks whether who waits for an answer is still there
# Whose body is being answered: a task that answers begins with the context of its connection.
_caller: ContextVar[PostConnection] = ContextVar("caller")


class Trials:
    """The webhooks that are answered in another manner, by the reference in them."""

    def __init__(self, arrivals: Arrivals, clock: Callable[[], float]) -> None:
        self._arrivals = arrivals
        self._clock = clock
        self._running: dict[str, WebhookTrial] = {}

    def begin(self, trials: Sequence[WebhookTrial]) -> None:
        """Answer for these trials from now on."""
        self._running = {trial.reference: trial for trial in trials}

    def end(self) -> None:
        """End the trials: webhooks that come again get 200."""
        self._running = {}

    async def answer(self, batch: Batch) -> WebhookAnswer:
        """The answer to a webhook that was read."""
        if self._arrivals.holds_foreign(batch):
            return UNAVAILABLE  # before all trials: should Meta take a 204, it would be lost
        found = [trial for ref in _sent_in(batch) if (trial := self._running.get(ref))]
        for trial in found:
            trial.posts.append(self._clock())
        self._arrivals.changed()
        if not found:
            return TAKEN
        if found[0].manner == "stall":
            await self._stall(found[0])
            return UNAVAILABLE  # Meta repeats it, and a waiting webapp gets it then
        return WebhookAnswer(int(found[0].manner))

    async def _stall(self, trial: WebhookTrial) -> None:
        began, caller = self._clock(), _caller.get()
        while trial.reference in self._running:
            if caller.hung_up:
                trial.closed.append(self._clock() - began)
                return
            await asyncio.sleep(_LOOK_SECONDS)


class _Listener(WebhookListener):
    def __init__(self, trials: Trials, owned: Mapping[str, int], *given: Any) -> None:
        super().__init__(owned, *given)
        self._trials = trials

    async def posted(self, body: bytes, signature: bytes) -> WebhookAnswer:
        answer = await super().posted(body, signature)
        if answer is not TAKEN:
            return answer
        return await self._trials.answer(read(body, self._owned, int(time.time())))

    async def _unreadable(self, reason: str, body: bytes) -> WebhookAnswer:
        """Refuse what cannot be read: the webapps quarantine it, once they run again."""
        self.counts["unreadable"] += 1
        return UNAVAILABLE


class _Intake(WebhookIntake):
    def delivered(self, caller: PostConnection) -> None:
        super().delivered(caller)
        _caller.set(caller)


class Listening:
    """Listens at WAROUTER_CLOUD_LISTEN, as a webapp would."""

    def __init__(
        self,
        cloud: CloudSettings,
        of: NumberCloud,
        secrets: Secrets,
        arrivals: Arrivals,
        clock: Callable[[], float],
    ) -> None:
        self._cloud = cloud
        self.trials = Trials(arrivals, clock)
        self.listener = _Listener(
            self.trials,
            {of.phone_number_id: of.id},
            lambda: secrets.app_secrets(of.app),
            lambda: secrets.verify_token(of.app),
            arrivals,
        )
        self._intake = _Intake(self.listener, client_name=cloud.mtls_name)
        self._sweeping: asyncio.Task[None] | None = None

    async def open(self) -> int:
        """Listen, and return the port; CommandError if it is taken."""
        host, port = self._cloud.listen
        tls = tls_of(self._cloud)
        try:
            port = await self._intake.open(host, port, tls.context if tls else None)
        except OSError as error:
            raise CommandError(
                f"Port {port} at {host} cannot be taken ({error.strerror}): stop the webapps of"
                " this number, since the probe listens at WAROUTER_CLOUD_LISTEN itself."
            ) from error
        self._sweeping = begin(self._intake.sweep(), _unforeseen)
        return port

    async def close(self) -> None:
        self.trials.end()
        await self._intake.leave()
        if self._sweeping is not None:
            self._sweeping.cancel()

    @property
    def refused(self) -> str:
        """Requests that came and were not used, "" without any: a hint when no webhook comes."""
        names = ("wrong_signature", "unsigned", "not_found", "handshake_refused", "unreadable")
        counts = self.listener.counts
        return ", ".join(f"{counts[name]} {name}" for name in names if counts[name])


def _sent_in(batch: Batch) -> list[str]:
    return [
        opaque(decoded(element))
        for element in batch.elements
        if element.kind == STATUS and element.status == "sent"
    ]


def _unforeseen(error: Exception) -> None:
    raise error
