"""Which users a webapp writes: ``SeenUsers``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.cloud_number import some_number
from warouter.store.cloud import seen_users
from warouter.store.cloud.seen_users import SEEN_SECONDS, SeenUsers
from warouter.upstream.cloud.batch import STATUS, Element

NUMBERS = {n: some_number(id=n, portfolio=portfolio) for n, portfolio in ((1, 1), (2, 1), (3, 2))}
ANN = {"user_id": "US.1", "wa_id": "15550001111", "name": "Ann"}


def told(**more: Any) -> Element:
    return Element(kind=STATUS, key="k", raw=b"{}", **{**ANN, **more})


def test_a_user_is_news_once_and_whenever_something_else_is_told() -> None:
    seen = SeenUsers(NUMBERS, lambda: 0.0)
    assert not seen.has(told())
    seen.written([told()])
    assert seen.has(told())
    for other in ({"wa_id": "2"}, {"name": "Anna"}, {"username": "ann"}, {"parent_user_id": "p"}):
        assert not seen.has(told(**other))


def test_a_user_is_one_of_a_portfolio() -> None:
    seen = SeenUsers(NUMBERS, lambda: 0.0)
    seen.written([told()])
    assert [seen.has(told(number=number)) for number in NUMBERS] == [True, True, False]


def test_an_element_without_a_user_id_tells_nothing() -> None:
    assert SeenUsers(NUMBERS, lambda: 0.0).has(told(user_id=""))


@pytest.mark.parametrize("moved", [{"previous_user_id": "US.0"}, {"changed_to": "2"}])
def test_a_move_is_always_news_and_what_follows_it(moved: dict[str, str]) -> None:
    seen = SeenUsers(NUMBERS, lambda: 0.0)
    seen.written([told()])
    assert not seen.has(told(**moved))
    seen.written([told(**moved)])
    assert not seen.has(told())


def test_a_user_is_written_anew_after_an_hour() -> None:
    now = 0.0
    seen = SeenUsers(NUMBERS, lambda: now)
    seen.written([told()])
    now = SEEN_SECONDS
    assert not seen.has(told())


def test_the_user_written_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_users, "MOST_SEEN", 2)
    seen = SeenUsers(NUMBERS, lambda: 0.0)
    users = [told(user_id=f"US.{n}") for n in range(3)]
    seen.written(users)
    assert [seen.has(user) for user in users] == [False, True, True]
