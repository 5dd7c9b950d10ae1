"""Whom callers dial: link addresses from node rows."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from warouter.store.nodes import addresses_of

FORMER, LATER, OTHER = (UUID(int=number) for number in (1, 2, 3))


def row(incarnation: UUID, port: int, *, leaving: bool, role: str = "coreapp") -> dict[str, Any]:
    return {
        "incarnation": incarnation,
        "name": f"a:coreapp-{port}",
        "role": role,
        "host": "10.0.0.1",
        "port": port,
        "link_key": b"key",
        "fingerprint": "pin",
        "leaving": leaving,
    }


def test_a_coreapp_that_left_is_not_called_where_a_successor_listens() -> None:
    rows = [row(FORMER, 6250, leaving=True), row(LATER, 6250, leaving=False)]
    assert list(addresses_of(rows)) == [LATER]
    assert list(addresses_of(rows[::-1])) == [LATER]


def test_a_leaving_coreapp_is_called_until_a_successor_listens() -> None:
    rows = [row(FORMER, 6250, leaving=True), row(OTHER, 6251, leaving=False)]
    assert list(addresses_of(rows)) == [FORMER, OTHER]


def test_a_coreapp_that_has_not_left_is_called_beside_its_successor() -> None:
    rows = [row(FORMER, 6250, leaving=False), row(LATER, 6250, leaving=False)]
    assert list(addresses_of(rows)) == [FORMER, LATER]


def test_a_webapp_is_not_called() -> None:
    assert not addresses_of([row(OTHER, 9090, leaving=False, role="webapp")])
