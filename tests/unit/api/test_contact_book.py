"""A number is asked for once, however slowly the store is read."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, cast

from warouter.api.contacts.book import ContactBook

NUMBER = "250788123123"
CROSSED = ((1, NUMBER), (2, NUMBER), (1, "49"))


class Store:
    """What is in it, as it was when the read began; reads are answered when ``answer`` is set."""

    def __init__(self) -> None:
        self.rows: dict[str, bool] = {}
        self.read = asyncio.Event()
        self.answer = asyncio.Event()

    async def known(self, number: int, wa_ids: Collection[str]) -> dict[str, bool]:
        found = {n: self.rows[n] for n in wa_ids if n in self.rows}
        self.read.set()
        await self.answer.wait()
        return found

    async def save(self, number: int, valid: dict[str, bool]) -> None:
        self.rows |= valid


class Directory:
    """Everybody is on WhatsApp."""

    local = False

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.calls: list[tuple[int, list[str]]] = []

    async def on_whatsapp(self, number: int, wa_ids: list[str]) -> set[str]:
        self.asked += wa_ids
        self.calls.append((number, wa_ids))
        return set(wa_ids)


async def test_an_answer_that_comes_while_the_store_is_read_is_not_asked_for_again() -> None:
    store, directory = Store(), Directory()
    book = ContactBook(cast(Any, store), cast(Any, directory), required=True)
    slow = asyncio.create_task(book.check(1, [NUMBER], wait=True, force=False))
    await store.read.wait()
    assert await book.check(1, [NUMBER], wait=True, force=True) == {NUMBER: "valid"}
    store.answer.set()
    assert await slow == {NUMBER: "valid"}
    assert directory.asked == [NUMBER]


async def test_numbers_that_ask_for_the_same_at_once_are_asked_for_one_by_one() -> None:
    store, directory = Store(), Directory()
    store.answer.set()
    book = ContactBook(cast(Any, store), cast(Any, directory), required=True)
    asked = [book.check(n, [wa_id], wait=True, force=False) for n, wa_id in CROSSED]
    assert await asyncio.gather(*asked) == [{wa_id: "valid"} for _, wa_id in CROSSED]
    assert directory.calls == [(1, [NUMBER, "49"]), (2, [NUMBER])]
    assert [await book.may_send(n, NUMBER) for n in (1, 2)] == [True, True]
