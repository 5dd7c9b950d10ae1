"""One signature, three opinions: of both witnesses that check them, and of a cluster's listener.

Neither witness can sign: they agree on what they believe.
"""

from __future__ import annotations

import time

import pytest

from tests.harness.webhooks import text
from tests.outside.conftest import ask
from tests.outside.scene import FACTS, Scene, webhook
from tests.unit.upstream.cloud.test_signature import BODY, SECRET, SIGNED
from warouter.upstream.cloud.signature import sign

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("outside_scene")]

AGAIN = '{"object":"whatsapp_business_account","entry":[{"id":"0","changes":[]}],"note":"ä👍 / <"}'
"""The vector as it is after it was decoded and written again."""
POSTS: dict[str, tuple[bytes, str]] = {
    "the vector": (BODY, SIGNED.decode()),
    "the vector, written again": (AGAIN.encode(), SIGNED.decode()),
    "not signed by this app": (BODY, sign(BODY, "app-secret-2")),
    "of another algorithm": (BODY, SIGNED.decode().replace("sha256=", "sha1=")),
    "a message": (webhook(text("wamid.HBgSigned", timestamp=str(int(time.time())))), ""),
}
BELIEVED = {name: name in ("the vector", "a message") for name in POSTS}


@pytest.mark.parametrize("witness", ["read_kapso", "read_pywa"])
async def test_witnesses(witness: str) -> None:
    assert await believed_by(witness) == BELIEVED


async def test_the_listener(scene: Scene) -> None:
    assert FACTS.secret() == SECRET
    answers = {name: await scene.told(*post) for name, post in POSTS.items()}
    assert answers == {name: 200 if BELIEVED[name] else 401 for name in POSTS}
    await scene.arrived("wamid.HBgSigned")


async def believed_by(witness: str) -> dict[str, bool]:
    questions = [
        {"body": body.decode(), "signature": signature or sign(body, SECRET), "secret": SECRET}
        for body, signature in POSTS.values()
    ]
    answers = await ask(witness, questions)
    return {name: answer["signed"] for name, answer in zip(POSTS, answers, strict=True)}
