"""`message_history` of the Cloud door, in the form that Meta's OpenAPI describes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.cloud import OTHER, Door, door
from tests.harness.wait import soon
from warouter.lab.simulator.cloud.graph import history


async def listed(found: Door, **query: str) -> Any:
    node = found.simulator.facts.phone_number_id
    status, answer = await found.call("GET", found.url(f"{node}/message_history"), params=query)
    return answer if status == 200 else answer["error"]["code"]


async def sent(found: Door, count: int, **more: Any) -> list[str]:
    answers = [await found.send(**more) for _ in range(count)]
    return [answer["messages"][0]["id"] for _, answer in answers]


async def test_the_newest_stands_first_and_pages_follow_each_other() -> None:
    async with door() as found:
        ids = await sent(found, 30)
        page = await listed(found)
        assert [one["message_id"] for one in page["data"]] == ids[:4:-1]
        assert set(page["data"][0]) == {"id", "message_id"}
        after = page["paging"]["cursors"]["after"]
        rest = await listed(found, after=after, limit="100")
        assert [one["message_id"] for one in rest["data"]] == ids[4::-1]


async def test_one_message_is_found_with_its_events() -> None:
    async with door() as found:
        wamid, _ = await sent(found, 2)
        await found.statuses(6)
        (entry,) = (await listed(found, message_id=wamid, fields="id,events{timestamp}"))["data"]
        names = [event["delivery_status"] for event in entry["events"]["data"]]
        assert names == ["ACCEPTED", "SENT", "DELIVERED", "READ"]
        status, answer = await found.call(
            "GET", found.url(f"{entry['id']}/events"), params={"status_filter": "SENT"}
        )
        assert status == 200
        assert [one["node"]["delivery_status"] for one in answer["data"]] == ["SENT"]


async def test_a_failed_message_shows_an_error() -> None:
    async with door(unknown=[OTHER]) as found:
        (wamid,) = await sent(found, 1, to=OTHER)
        await found.statuses(1)
        (entry,) = (await listed(found, message_id=wamid, fields="events"))["data"]
        assert [e["delivery_status"] for e in entry["events"]["data"]] == ["ACCEPTED", "ERROR"]


@pytest.mark.parametrize("query", [{"limit": "101"}, {"limit": "0"}, {"after": "x"}])
async def test_an_out_of_range_page_is_refused(query: dict[str, str]) -> None:
    async with door() as found:
        assert await listed(found, **query) == 100


async def test_switches_say_what_is_listed_and_when() -> None:
    async with door(history="filtered") as found:
        (wamid,) = await sent(found, 1)
        assert await listed(found) == 100
        assert len((await listed(found, message_id=wamid))["data"]) == 1
        found.use(history="none")
        assert await listed(found, message_id=wamid) == 100
        found.use(history_ms=60_000)
        assert (await listed(found))["data"] == []
        found.use(history_ms=0)
        await soon(lambda: len(found.simulator.history.listed({})["data"]) == 1)


async def test_the_record_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST", 3)
    async with door() as found:
        ids = await sent(found, 5)
        await found.statuses(15)
        assert [one["message_id"] for one in (await listed(found))["data"]] == ids[:1:-1]
