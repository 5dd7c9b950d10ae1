"""GET /v1/health on the Cloud API: what the simulator's door says of the number, as it is answered.

All but the owner's loop is the product's: it asks the door, writes, and a webapp reads.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from random import Random
from typing import Any, NamedTuple
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.api import Answer, Api, Webapp
from tests.harness.cloud import client_settings
from warouter.config import Settings, Timing
from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.graph.health import BUSINESS
from warouter.lab.simulator.cloud.server import CloudSimulator
from warouter.node.mapview import MapView
from warouter.owner.cloud.facts.number_reader import TOKEN_SECONDS, NumberReader
from warouter.store.journal.names import USERS_SQL, Users
from warouter.store.views.number_status import NumberFacts, read_number
from warouter.upstream.cloud.graph.app_calls import App
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.failed import CallAway
from warouter.upstream.cloud.graph.number_calls import NumberCalls
from warouter.upstream.cloud.secrets import Secrets

FACTS = CloudFacts(token="token-1")
IDS = {
    "PHONE_NUMBER": FACTS.phone_number_id,
    "WABA": FACTS.waba_id,
    "BUSINESS": BUSINESS,
    "APP": FACTS.app_id,
}
CALLED = {
    "PHONE_NUMBER": "phone number",
    "WABA": "WhatsApp Business account",
    "BUSINESS": "business",
    "APP": "app",
}


class Watched(NamedTuple):
    """A number, who asks Meta about it, and a webapp that shows it."""

    api: Api
    simulator: CloudSimulator
    described: NumberReader
    view: MapView
    pool: asyncpg.Pool
    tokens: list[bytes]  # the last one is in force
    asked: list[float]  # the clock is its last value

    async def says(self, **switches: Any) -> Answer:
        """The answer once Meta was asked under these switches."""
        self.simulator.use(CloudFaults(**switches))
        await self.described.read()
        return await self.answer()

    async def answer(self) -> Answer:
        recorder, health = self.api.recorder, await self.view.health(1)
        recorder.nodes, recorder.notes, recorder.number = health
        return await self.api.call("GET", "/v1/health", token=self.api.user)

    async def known(self) -> NumberFacts:
        found = await read_number(self.pool, 1)
        assert found is not None
        return found


@pytest_asyncio.fixture
async def watched(webapp: Webapp, pool: asyncpg.Pool, database: Settings) -> AsyncIterator[Watched]:
    simulator = CloudSimulator(FACTS, random=Random(1))
    addresses = await simulator.start()
    cloud, of = client_settings(FACTS, addresses.graph_url)
    secrets = Secrets(of)
    calls = Calls(cloud, secrets)
    tokens, clock = [b"1"], [1000.0]

    async def users() -> Users:
        return Users(*await pool.fetchrow(USERS_SQL))

    described = NumberReader(
        of,
        pool.fetch,
        NumberCalls(calls),
        App(calls, secrets).token,
        lambda _of: tokens[-1],
        users,
        lambda: clock[-1],
    )
    await pool.execute("update format set upstream = $1", f"cloud:{FACTS.phone_number_id}")
    view = MapView(database, Timing(), pool, f"wa:{uuid4().hex}:w")
    yield Watched(await webapp(), simulator, described, view, pool, tokens, clock)
    await view.close()
    await calls.close()
    await simulator.stop()
    await pool.execute("update format set upstream = 'simulator'")
    await pool.execute("delete from cloud_number")


async def test_a_number_that_is_well_has_no_warnings(watched: Watched) -> None:
    answer = await watched.says(level=1000)
    meta = answer.json["meta"]
    assert "warnings" not in meta
    number = meta["number"]
    assert number.pop("read_at").startswith("20")
    assert number == {
        "status": "CONNECTED",
        "quality": "GREEN",
        "name_status": "APPROVED",
        "throughput": "HIGH",
        "can_send": "AVAILABLE",
        "entities": [
            {"type": name, "id": id, "can_send": "AVAILABLE", "errors": [], "info": []}
            for name, id in IDS.items()
        ],
    }
    assert "health" in answer.json


async def test_health_without_an_answer_of_meta_names_no_token(watched: Watched) -> None:
    assert set((await watched.answer()).json["meta"]) == {"api_status", "version"}


@pytest.mark.parametrize("state", ["LIMITED", "BLOCKED"])
@pytest.mark.parametrize("entity", IDS)
async def test_each_part_that_may_send_less_is_a_sentence(
    watched: Watched, entity: str, state: str
) -> None:
    """With Meta's code, its words, and what it says to do."""
    meta = (await watched.says(health={entity: state})).json["meta"]
    [found] = [e for e in meta["number"]["entities"] if e["can_send"] != "AVAILABLE"]
    [error] = found["errors"]
    assert (found["type"], found["id"], found["can_send"]) == (entity, IDS[entity], state)
    assert meta["number"]["can_send"] == state
    begins = f"Meta says that the {CALLED[entity]} {IDS[entity]} is {state}: code {error['code']}: "
    assert meta["warnings"] == [f"{begins}{error['description']} {error['solution']}"]
    assert error["code"] > 0
    assert error["description"]
    assert error["solution"]


async def test_several_parts_are_several_sentences(watched: Watched) -> None:
    meta = (await watched.says(health={"WABA": "LIMITED", "APP": "BLOCKED"})).json["meta"]
    assert [words.split(":")[0] for words in meta["warnings"]] == [
        f"Meta says that the WhatsApp Business account {FACTS.waba_id} is LIMITED",
        f"Meta says that the app {FACTS.app_id} is BLOCKED",
    ]
    assert meta["number"]["can_send"] == "BLOCKED"


@pytest.mark.parametrize("quality", ["RED", "YELLOW"])
async def test_a_quality_that_is_not_green_is_a_sentence(watched: Watched, quality: str) -> None:
    meta = (await watched.says(quality=quality)).json["meta"]
    [warning] = meta["warnings"]
    assert warning.startswith(f"The quality of the number is {quality}: ")
    assert meta["number"]["quality"] == quality


async def test_a_name_that_is_not_approved_is_a_sentence_and_limits_the_number(
    watched: Watched,
) -> None:
    meta = (await watched.says(name_status="PENDING_REVIEW")).json["meta"]
    limited, unnamed = meta["warnings"]
    assert "is LIMITED: The display name is not approved yet;" in limited
    assert unnamed.startswith("The display name of the number is not approved (PENDING_REVIEW)")
    meta = (await watched.says(name_status="AVAILABLE_WITHOUT_REVIEW")).json["meta"]
    assert "warnings" not in meta


async def test_when_meta_cannot_be_asked_what_is_known_stays_with_its_age(
    watched: Watched,
) -> None:
    before = (await watched.says(quality="RED")).json["meta"]["number"]
    await watched.pool.execute("update cloud_number set read_at = read_at - interval '3 min'")
    with pytest.raises(CallAway):
        await watched.says(no_token=True)
    after = (await watched.answer()).json["meta"]["number"]
    assert after["read_at"] < before["read_at"]
    assert {**after, "read_at": ""} == {**before, "read_at": ""}
    age = (await watched.known()).read_age_s
    assert age is not None
    assert 180 <= age < 3600


async def test_another_upstream_has_no_number(watched: Watched) -> None:
    await watched.says(quality="RED")
    await watched.pool.execute("update format set upstream = 'simulator'")
    assert set((await watched.answer()).json["meta"]) == {"api_status", "version"}


class TestToken:
    """Until when it lives: ``debug_token`` once an hour, and when the token is another one."""

    async def test_one_that_never_ends(self, watched: Watched) -> None:
        await watched.says()
        known = await watched.known()
        assert (known.token_expires_at, known.token_valid, known.version) == (0, True, "v25.0")

    async def test_a_token_is_checked_again_hourly_and_when_it_changes(
        self, watched: Watched
    ) -> None:
        for seconds, token, token_s, ends in (
            (0.0, b"1", 86_400, 86_400),
            (60.0, b"1", 9_000, 86_400),  # not asked
            (60.0, b"2", 9_000, 9_000),
            (TOKEN_SECONDS, b"2", 5_000, 5_000),
        ):
            watched.asked.append(watched.asked[-1] + seconds)
            watched.tokens.append(token)
            await watched.says(token_s=token_s)
            found = (await watched.known()).token_expires_at
            assert found is not None
            assert abs(found - time.time() - ends) < 120

    async def test_a_refusal_is_no_error_and_is_told_once(
        self, watched: Watched, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", logger="warouter.owner")
        for _ in range(3):
            watched.asked.append(watched.asked[-1] + TOKEN_SECONDS)
            await watched.says(no_debug_token=True)
        assert (await watched.known()).token_expires_at is None
        assert caplog.messages == ["token look-up failed"]
        assert caplog.records[0].levelname == "INFO"

    async def test_of_another_token_nothing_is_known_before_it_was_asked_of(
        self, watched: Watched
    ) -> None:
        await watched.says(token_s=86_400)
        watched.tokens.append(b"2")
        await watched.says(no_debug_token=True)
        assert (await watched.known()).token_expires_at is None
