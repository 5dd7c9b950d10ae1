"""What a cluster sends to the Graph API for each kind of message of v1, as others judge it."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from tests.outside.bodies import BODIES, THEIRS
from tests.outside.conftest import ask, wrong_with
from tests.outside.exceptions import UNSENT
from tests.outside.scene import Scene

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("outside_scene")]

MARK = "read mark"
NAMES = [*BODIES, MARK]
VOTERS = ("models", "openapi")


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def sent(scene: Scene) -> dict[str, Any]:
    """The bodies by name. The door has taken each."""
    bodies = await scene.sent(BODIES)
    assert {name: body["errors"] for name, body in bodies.items() if "errors" in body} == {}
    return bodies | {MARK: await scene.marked(scene.given[THEIRS])}


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def judged(sent: dict[str, Any]) -> dict[str, Any]:
    answers = await ask("read_models", [{"sent": sent[name]} for name in NAMES])
    return dict(zip(NAMES, answers, strict=True))


def judge(voter: str, name: str, wrong: str) -> None:
    """One that is listed must be wrong, any other right."""
    if (voter, name) in UNSENT:
        assert wrong, "this is right now: take it out of UNSENT"
    else:
        assert wrong == ""


@pytest.mark.parametrize("name", NAMES)
async def test_models_accept_it(sent: dict[str, Any], judged: dict[str, Any], name: str) -> None:
    judge("models", name, judged[name].get("refused", ""))


@pytest.mark.parametrize("name", NAMES)
async def test_metas_openapi_accepts_it(
    openapi: dict[str, Any], sent: dict[str, Any], name: str
) -> None:
    judge("openapi", name, wrong_with(openapi, "Message", sent[name]))


async def test_wrong_bodies_are_refused(openapi: dict[str, Any], sent: dict[str, Any]) -> None:
    """So that the tests above say something."""
    changes: tuple[Any, ...] = ({"to": None}, {"to": 5}, {"type": "none"}, {"text": {"body": 5}})
    bodies = [sent["text"] | change for change in changes]
    answers = await ask("read_models", [{"sent": body} for body in bodies])
    assert ["refused" in answer for answer in answers] == [True] * 4
    assert all(wrong_with(openapi, "Message", body) for body in bodies)
