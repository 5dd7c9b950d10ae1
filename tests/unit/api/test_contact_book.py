"""A number is asked for once, however slowly the store is read."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, cast

from warouter.api.contacts.book import ContactBook

NUMBER = "250788123123"


class Store:
    """What is in it, as it was when the read began; reads are answered when ``answer`` is set."""

    def __init__(self) -> None:
        self.rows: dict[str, bool] = {}
        self.read = asyncio.Event()
        self.answer = asyncio.Event()

    async def known(self, wa_ids: Collection[str]) -> dict[str, bool]:
        found = {n: self.rows[n] for n in wa_ids if n in self.rows}
        self.read.set()
        await self.answer.wait()
        return found

    async def save(self, valid: dict[str, bool]) -> None:
        self.rows |= valid


class Directory:
    """Everybody is on WhatsApp."""

    local = False

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def on_whatsapp(self, numbers: list[str]) -> set[str]:
        self.asked += numbers
        return set(numbers)


async def test_an_answer_that_comes_while_the_store_is_read_is_not_asked_for_again() -> None:
    store, directory = Store(), Directory()
    book = ContactBook(cast(Any, store), cast(Any, directory), required=True)
    slow = asyncio.create_task(book.check([NUMBER], wait=True, force=False))
    await store.read.wait()
    assert await book.check([NUMBER], wait=True, force=True) == {NUMBER: "valid"}
    store.answer.set()
    assert await slow == {NUMBER: "valid"}
    assert directory.asked == [NUMBER]
