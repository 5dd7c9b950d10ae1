"""Dead letters of a whole cluster: listed, shown, replayed, refused again, through a crash."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from tests.cluster.conftest import running
from tests.harness import form
from tests.harness.business import Business
from tests.harness.facts import Facts, followed
from tests.harness.receiver import Post, Receiver
from tests.harness.shell import outcome
from warouter._hash import slot_of
from warouter.local.cluster import Cluster

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("dead letters")]

BAD, GOOD = "491511234567", "491517654321"
_LETTERS = "select count(*) from dead_letter"
_PARKED = "select count(*) from parked_event"


class Scene(NamedTuple):
    cluster: Cluster
    business: Business
    hook: Receiver
    facts: Facts

    async def inject(self, sender: str, *texts: str) -> list[str]:
        return await self.business.come(*({"from": sender, "body": text} for text in texts))

    async def dead(self, *texts: str) -> list[str]:
        """Messages of BAD that were refused for seven days, as the database remembers it."""
        self.hook.answer = refusing
        ids = await self.inject(BAD, *texts)
        await self.inject(GOOD, "one that is taken")
        await self.facts.until_some(f"select 1 where ({_PARKED}) = {len(texts)}")
        await self.facts.until_letters(len(texts))
        return ids

    async def command(self, *arguments: str) -> tuple[int, str, str]:
        return await outcome(self.cluster.folder, "callbacks", *arguments)

    async def letters(self, *arguments: str) -> Any:
        code, out, err = await self.command("list", "--json", *arguments)
        assert code == 0, err
        return json.loads(out)


def refusing(post: Post) -> int:
    return 400 if any(m["from"] == BAD for m in post.json.get("messages", ())) else 200


def tries(hook: Receiver) -> int:
    """How many POSTs it has refused."""
    return sum(post.answered == 400 for post in hook.posts)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def business() -> AsyncIterator[Business]:
    async with running(shards=1, coreapps=2, masters=1) as (_, business):
        yield business


@pytest_asyncio.fixture(loop_scope="module")
async def scene(business: Business) -> AsyncIterator[Scene]:
    """A fresh receiver, and no letter."""
    async with Facts(business.cluster) as facts, Receiver(form=form.check) as hook:
        await business.call("DELETE", "/v1/settings/application")
        await business.settings(callback_backoff_delay_ms=50, webhooks={"url": hook.url})
        await followed(facts)
        yield Scene(business.cluster, business, hook, facts)
        await facts.until_none(_LETTERS)
        await facts.until_none(_PARKED)
        assert hook.wrong == []


async def test_letters_are_listed_shown_and_replayed(scene: Scene) -> None:
    ids = await scene.dead("a", "b", "c")
    found = await scene.letters()
    assert found["total"] == 3
    assert [letter["key"] for letter in found["letters"]] == ids
    first = found["letters"][0]
    assert (first["kind"], first["recipient"]) == ("inbound", BAD)
    assert first["slot"] == slot_of(BAD)
    assert first["payload"]["text"] == {"body": "a"}
    assert "400" in first["reason"]
    assert len((await scene.letters("--limit", "2"))["letters"]) == 2
    assert (await scene.letters("--kind", "status"))["total"] == 0
    assert (await scene.letters("--recipient", f"+{GOOD}"))["total"] == 0
    assert first["id"] in (await scene.command("list"))[1]
    shown = json.loads((await scene.command("show", first["id"]))[1])
    assert shown == first

    scene.hook.answer = 200
    second = found["letters"][1]
    code, out, _ = await scene.command("replay", second["id"])
    assert (code, out) == (0, "1 dead letters will be delivered once more\n")
    await scene.hook.until(lambda: ids[1] in scene.hook.messages)
    assert not {ids[0], ids[2]} & set(scene.hook.messages)
    await scene.facts.until_none(_PARKED)
    assert (await scene.letters())["total"] == 2

    await scene.command("replay", "--recipient", BAD, "--kind", "inbound")
    await scene.hook.until(lambda: set(ids) <= set(scene.hook.messages))
    assert list(scene.hook.contacts) == [GOOD, BAD]
    await scene.facts.until_none(_PARKED)
    assert (await scene.letters())["total"] == 0
    (after,) = await scene.inject(BAD, "after")
    await scene.hook.until(lambda: after in scene.hook.messages)


async def test_a_letter_that_is_refused_again_is_a_letter_again(scene: Scene) -> None:
    ids = await scene.dead("a")
    refused = tries(scene.hook)
    await scene.command("replay", "--all")
    await scene.hook.until(lambda: tries(scene.hook) > refused + 1)
    assert (await scene.letters())["total"] == 0  # it has an hour
    (behind,) = await scene.inject(BAD, "behind it")
    await scene.facts.until_some(f"select 1 where ({_PARKED}) = 2")
    await scene.facts.until_letters(2)
    found = (await scene.letters())["letters"]
    assert {letter["key"] for letter in found} == {*ids, behind}
    assert not any(letter["asked"] for letter in found)
    scene.hook.answer = 200
    await scene.command("replay", "--all")
    await scene.hook.until(lambda: {*ids, behind} <= set(scene.hook.messages))


async def test_a_letter_is_not_lost_by_a_replay_under_callback_persist_false(scene: Scene) -> None:
    ids = await scene.dead("a", "b")
    await scene.business.settings(callback_persist=False, callback_backoff_delay_ms=200)
    fresh = [await scene.inject(BAD, "not kept")]
    await scene.facts.until_some(_PARKED)
    await scene.facts.until_none(_PARKED)  # those of the moment are dropped
    assert (await scene.letters())["total"] == 2
    await scene.command("replay", "--all")
    await scene.facts.until_none(f"{_LETTERS} where asked_at is not null")
    await scene.facts.until_some(f"select 1 where ({_LETTERS}) = 2")
    scene.hook.answer = 200
    await scene.command("replay", "--all")
    await scene.hook.until(lambda: set(ids) <= set(scene.hook.messages))
    assert not set(*fresh) & set(scene.hook.messages)


async def test_the_owner_dies_while_it_replays(scene: Scene) -> None:
    """At least once, and nothing is lost: the next owner finds what was not answered."""
    ids = await scene.dead("a", "b", "c")
    speak = asyncio.Event()

    async def silent(_post: Post) -> int:
        await speak.wait()
        return 200

    scene.hook.answer = silent
    await scene.command("replay", "--all")
    await scene.hook.until(lambda: scene.hook.open)
    old = (await scene.facts.map()).slots[slot_of(BAD)]
    (await scene.facts.process_of(old.owner)).kill(signal.SIGKILL)
    await scene.facts.until(lambda m: m.slots[slot_of(BAD)].owner != old.owner)
    scene.hook.messages.clear()
    speak.set()
    await scene.hook.until(lambda: set(ids) <= set(scene.hook.messages))
    await scene.facts.until_none(_PARKED)
    assert (await scene.letters())["total"] == 0


async def test_bad_command_lines_get_one_sentence(scene: Scene) -> None:
    for arguments, says in (
        (("replay",), "to choose dead letters"),
        (("replay", "status-1-1"), "Only 0 of these 1 are dead letters"),
        (("replay", "letter"), "is not the id of a dead letter"),
        (("replay", "status-1-1;drop"), "is not the id of a dead letter"),
        (("show", "status-99-1"), "There is no dead letter"),
        (("list", "--recipient", "abc"), "digits"),
        (("list", "--kind", "other"), "--kind"),
        (("list", "--limit", "0"), "--limit"),
    ):
        code, _, err = await scene.command(*arguments)
        assert code != 0
        assert says in err
    assert (await scene.command("replay", "--all"))[:2] == (
        0,
        "0 dead letters will be delivered once more\n",
    )
