"""Statuses over the link: offered to the owner of each slot, and what becomes of an offer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.harness.linked import OWNER, SLOT, Coreapp, an_id, owned_by, webapp
from tests.harness.wait import soon
from warouter.link import offers, wire
from warouter.link.client import Links
from warouter.link.listen import StatusOwner, WebappConnection


class Owner(StatusOwner):
    """Takes offers, and answers as it is told."""

    def __init__(self) -> None:
        self.came: list[tuple[WebappConnection, wire.StatusOffer]] = []

    def on_statuses(self, webapp: WebappConnection, offer: wire.StatusOffer) -> None:
        self.came.append((webapp, offer))

    def answer(self, *left: int) -> None:
        """Answer the last one."""
        connection, offer = self.came[-1]
        connection.send(wire.stored(wire.StatusOutcome(offer.number, list(left))))


@pytest_asyncio.fixture
async def coreapp() -> AsyncIterator[Coreapp]:
    coreapp = Coreapp()
    yield coreapp
    await coreapp.stop()


@pytest.fixture
def owner(coreapp: Coreapp) -> Owner:
    coreapp.server.statuses = owner = Owner()
    return owner


@pytest_asyncio.fixture
async def links(coreapp: Coreapp) -> AsyncIterator[Links]:
    """Those of a webapp that is linked to the owner of all slots, under epoch 7."""
    async with webapp(rows=coreapp.rows) as links:
        links.set_addresses({OWNER: await coreapp.start()})
        links.set_map(owned_by(OWNER))
        await soon(lambda: links.connected)
        yield links


def status(number: int, slot: int = SLOT) -> wire.OfferedStatus:
    name = f"wamid.{number}"
    return wire.OfferedStatus(slot, 0, f"{name}:sent:1", an_id(number), 1, name, "1", b"{}")


def offered(links: Links, *numbers: int) -> asyncio.Task[set[tuple[int, str]]]:
    return asyncio.ensure_future(links.statuses.offer([status(number) for number in numbers]))


async def test_an_offer_arrives_under_the_owners_epoch_and_waits_for_its_word(
    links: Links, owner: Owner
) -> None:
    call = offered(links, 1, 2, 3)
    await soon(lambda: owner.came)
    [(_, offer)] = owner.came
    assert [(each.id, each.epoch) for each in offer.statuses] == [(an_id(n), 7) for n in (1, 2, 3)]
    assert not call.done()
    owner.answer(1)
    assert await call == {(1, "wamid.1:sent:1"), (1, "wamid.3:sent:1")}


async def test_statuses_gather_into_offers_that_fit_into_frames(
    links: Links, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offers, "MOST_BYTES", 4)
    calls = [offered(links, n) for n in range(3)]
    await soon(lambda: len(owner.came) == 2)
    assert [len(offer.statuses) for _, offer in owner.came] == [2, 1]
    owner.answer()
    assert await calls[2] == {(1, "wamid.2:sent:1")}
    assert not calls[0].done()
    owner.came.pop()
    owner.answer(1)
    assert [await call for call in calls[:2]] == [{(1, "wamid.0:sent:1")}, set()]


async def test_statuses_without_a_way_to_their_owner_are_offered_to_nobody(
    links: Links, owner: Owner
) -> None:
    links.set_map(owned_by(None, 8))
    assert await offered(links, 1) == set()
    assert owner.came == []


async def test_a_coreapp_that_takes_none_leaves_all(links: Links, coreapp: Coreapp) -> None:
    assert await offered(links, 1, 2) == set()


async def test_an_offer_ends_with_its_link(links: Links, owner: Owner, coreapp: Coreapp) -> None:
    call = offered(links, 1)
    await soon(lambda: owner.came)
    coreapp.cut_off()
    assert await call == set()


async def test_an_offer_without_an_answer_ends_and_its_late_answer_is_nothing(
    links: Links, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offers, "OFFER_SECONDS", 0.0)
    assert await offered(links, 1) == set()
    await soon(lambda: owner.came)
    owner.answer()
    monkeypatch.setattr(offers, "OFFER_SECONDS", 60.0)
    call = offered(links, 2)
    await soon(lambda: len(owner.came) == 2)
    owner.answer()
    assert await call == {(1, "wamid.2:sent:1")}


async def test_a_broken_frame_of_statuses_ends_the_link(links: Links, coreapp: Coreapp) -> None:
    await soon(lambda: coreapp.server.webapps)
    way = links._straight_to(SLOT)
    assert way is not None
    way.send(bytes((wire.STATUSES,)) + b"\xc1")
    await soon(lambda: not links.connected)
