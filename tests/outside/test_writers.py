"""Clients of other authors send to the Cloud door, which must not be narrower than Meta."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.harness.cloud import OTHER, TOKEN, Door, door
from tests.outside.cases import THEIRS
from tests.outside.conftest import ask
from tests.outside.exceptions import UNWRITTEN

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("outside_writers")]

COMMON = (
    "text",
    "reply",
    "image by link",
    "image by id",
    "document",
    "video",
    "sticker",
    "reaction",
    "location",
    "contacts",
    "buttons",
    "list",
    "template",
    "upload",
    "look up",
    "delete",
    "read",
)
VERBS = {
    "write_pywa": (
        *COMMON,
        "image by upload",
        "voice",
        "reaction taken back",
        "location request",
        "buttons with an image",
        "url button",
        "catalog",
        "product",
        "typing",
        "account",
        "number",
        "numbers",
        "templates",
        "profile",
        "settings",
        "register",
        "override",
    ),
    "write_heyoo": (*COMMON, "audio"),
    "write_kapso": (
        *COMMON,
        "audio",
        "url button",
        "location request",
        "typing",
        "profile",
        "settings",
        "register",
        "templates",
    ),
}
PAIRS = [(witness, verb) for witness, verbs in VERBS.items() for verb in verbs]
REFERENCES = {"write_pywa": "of pywa", "write_kapso": "of kapso"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world() -> AsyncIterator[Door]:
    async with door() as found:
        yield found


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file: Path = tmp_path_factory.mktemp("media") / "a.jpg"
    file.write_bytes(b"\xff\xd8\xff\xe0" + bytes(range(256)))
    return file


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def heard(world: Door, picture: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """What each client understood, by its name and verb."""
    facts = world.simulator.facts
    sender = world.addresses.graph_url, facts.phone_number_id, TOKEN, facts.waba_id
    where = *sender, OTHER, THEIRS, str(picture), world.business.url, facts.verify_token
    answers = await asyncio.gather(*(ask(one, verbs, *where) for one, verbs in VERBS.items()))
    return {
        (witness, verb): answer
        for (witness, verbs), said in zip(VERBS.items(), answers, strict=True)
        for verb, answer in zip(verbs, said, strict=True)
    }


@pytest.mark.parametrize(("witness", "verb"), PAIRS)
async def test_bodies_of_other_programs_are_taken(
    world: Door, heard: Any, witness: str, verb: str
) -> None:
    answer = heard[witness, verb]
    if (witness, verb) in UNWRITTEN:
        assert "refused" in answer, "this is sent now: take it out of UNWRITTEN"
        return
    assert "refused" not in answer
    if "id" in answer:
        taken = {row["wamid"] for row in world.record.requests(-1.0) if row["accepted"]}
        assert answer["id"] in taken
    elif "media" in answer:
        assert world.simulator.media.is_known(answer["media"])
    else:
        assert [value for value in answer.values() if not value] == []


async def test_references_and_read_marks_arrive(world: Door, heard: Any) -> None:
    references = {row["reference"] for row in world.record.requests(-1.0)}
    assert set(REFERENCES.values()) <= references
    assert world.record.marks() == [THEIRS]
    counters = world.record.counters
    assert (counters.typing, counters.unreadable) == (1, len(UNWRITTEN))
    assert counters.accepted == sum("id" in answer for answer in heard.values())
