"""Callbacks under settings that change while they run: whom to trust, and how long to try."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import pytest
from trustme import CA

from tests.harness.callbacks import Owner, event, running, settings_of, spread
from tests.harness.certificates import issued, text_of
from tests.harness.receiver import Receiver
from tests.harness.wait import Watch, soon
from warouter.tls import pem
from warouter.webhook.callbacks import Result

ROOT = CA()
SERVED = issued(ROOT)
SUCCESS, TLS = Result("status_change", "success"), Result("status_change", "tls")


@pytest.fixture
async def receiver(watch: Watch) -> AsyncIterator[Receiver]:
    context = pem.server_context(SERVED.pem + SERVED.key)
    async with Receiver(tls=context, watch=watch) as receiver:
        yield receiver


@pytest.fixture
async def owner(owner: Owner) -> Owner:
    """It takes up at once what is parked."""
    owner.retries_at_once = True
    return owner


async def test_the_bundle_alone_decides_and_changes_while_callbacks_run(
    receiver: Receiver, owner: Owner
) -> None:
    async with running(owner) as callbacks:
        callbacks.add(event(1))
        await soon(lambda: callbacks.requests[TLS] >= 1)  # no system knows this root
        callbacks.trust(text_of(CA()) + text_of(ROOT))
        callbacks.settings_changed()
        await soon(lambda: len(owner.settled) == 1)
        callbacks.trust(text_of(CA()))
        refused = callbacks.requests[TLS]
        callbacks.add(event(2))  # not on the connection that is kept alive
        await soon(lambda: callbacks.requests[TLS] > refused)
        assert len(owner.settled) == 1
        callbacks.trust(SERVED.pem)  # the very certificate will do as well
        callbacks.settings_changed()
        await soon(lambda: len(owner.settled) == 2)
        callbacks.trust("")
        refused = callbacks.requests[TLS]
        callbacks.add(event(3))
        await soon(lambda: callbacks.requests[TLS] > refused)
        assert callbacks.requests[SUCCESS] == 2
        with pytest.raises(ssl.SSLError):
            callbacks.trust("no certificate")
    assert len({post.connection for post in receiver.posts}) == 2


@pytest.mark.parametrize("count", [1, 300], ids=["one event", "a receiver that is down"])
async def test_what_is_not_kept_is_given_up_after_some_tries(
    receiver: Receiver, watch: Watch, count: int
) -> None:
    for persist in (True, False):
        receiver.answer = 500
        owner = Owner(watch, receiver.url)
        owner.retries_at_once = True
        owner.settings = settings_of(receiver.url, callback_persist=persist)
        async with running(owner) as callbacks:
            callbacks.trust(text_of(ROOT))
            for each in spread(count):
                callbacks.add(each)
            if persist:
                await watch.until(lambda c=callbacks: c.requests.total() >= 20)
                assert owner.dead == []
                receiver.answer = 200
                await owner.all_settled(count)
            else:
                await watch.until(lambda o=owner: sum(len(i) for i, _ in o.dead) == count)
                assert callbacks.requests.total() >= 2
                assert owner.settled == []
