"""Webhooks of the Cloud door as programs of other authors read them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.harness.cloud import SECRET, Door, door
from tests.outside.cases import CASES
from tests.outside.conftest import ask, wrong_with
from tests.outside.exceptions import BLIND, UNLIKE, UNREAD
from tests.outside.told import Told, alone, together

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("outside_readers")]

READERS = ("read_kapso", "read_pywa", "read_models")
SIGNED = ("read_kapso", "read_pywa")
WHOLE = ("read_kapso", "read_models")
"""Those that read every element; pywa looks at the first one of a POST only."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world() -> AsyncIterator[Door]:
    async with door() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def posts(world: Door) -> dict[str, Told]:
    return {name: await alone(world, name) for name in CASES}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def heard(posts: dict[str, Told]) -> dict[tuple[str, str], dict[str, Any]]:
    """The answers by witness and case."""
    questions = [question(post) for post in posts.values()]
    answers = await asyncio.gather(*(ask(witness, questions) for witness in READERS))
    return {
        (witness, name): answer
        for witness, said in zip(READERS, answers, strict=True)
        for name, answer in zip(posts, said, strict=True)
    }


def question(post: Told) -> dict[str, str]:
    return {"body": post.body, "signature": post.signature, "secret": SECRET}


def expected(witness: str, facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The facts without what the witness has no place for."""
    blind = BLIND.get(witness, {})
    return [{key: part for key, part in fact.items() if key not in blind} for fact in facts]


def text_of(fact: dict[str, Any]) -> str:
    return json.dumps(fact, sort_keys=True)


def without_media(world: Door, facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The facts, with media that the door knows taken out."""
    for fact in facts:
        if "media" in fact:
            assert world.simulator.media.is_known(fact.pop("media"))
    return facts


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("witness", READERS)
async def test_each_webhook_says_what_happened(
    world: Door, posts: dict[str, Told], heard: Any, witness: str, name: str
) -> None:
    answer = dict(heard[witness, name])
    found = without_media(world, answer["facts"]) if "facts" in answer else answer["refused"]
    facts = expected(witness, posts[name].facts)
    if (witness, name) in UNREAD:
        assert found != facts, "this is read now: take it out of UNREAD"
    else:
        assert found == facts


@pytest.mark.parametrize("witness", SIGNED)
async def test_each_signature_is_believed(heard: Any, witness: str) -> None:
    assert {name: heard[witness, name]["signed"] for name in CASES} == dict.fromkeys(CASES, True)


@pytest.mark.parametrize("witness", WHOLE)
async def test_nothing_of_a_batch_is_lost(world: Door, witness: str) -> None:
    """Many elements over several entries and changes, errors and notices among them."""
    names = [n for n, c in CASES.items() if not (c.status or c.switches or (witness, n) in UNREAD)]
    told = await together(world, names)
    answers = await ask(witness, [question(post) for post in told])
    found = [fact for answer in answers for fact in without_media(world, answer["facts"])]
    facts = expected(witness, told[0].facts)
    assert sorted(found, key=text_of) == sorted(facts, key=text_of)
    assert any(post.body.count('"changes"') == 3 for post in told)
    assert len(told) < len(facts) / 4


@pytest.mark.parametrize("name", CASES)
async def test_metas_openapi_has_the_form(
    openapi: dict[str, Any], posts: dict[str, Told], name: str
) -> None:
    wrong = wrong_with(openapi, "WebhookPayload", json.loads(posts[name].body))
    if name in UNLIKE:
        assert wrong, "the form is the same now: take it out of UNLIKE"
    else:
        assert wrong == ""
