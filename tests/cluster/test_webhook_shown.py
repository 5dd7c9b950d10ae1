"""How the webhook does, by command and by the console, of a cluster whose receiver fails."""

from __future__ import annotations

import html
import json
import re
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

import aiohttp
import pytest
import pytest_asyncio

from tests.cluster.conftest import running
from tests.harness.business import Business
from tests.harness.facts import Facts, followed
from tests.harness.receiver import Post, Receiver, Reply
from tests.harness.shell import outcome
from tests.harness.wait import soon
from warouter.webhook.breaker import FAILURES
from warouter.webhook.trial import body_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("webhook shown")]

BAD, GOOD = "491511234567", "491517654321"
HOSTILE = b"<img src=x onerror=alert(1)>\0\x1b[31m no 491511234567 " + b"A" * 50_000
SHOWN = "<img src=x onerror=alert(1)>??[31m no 49...67 " + "A" * 149
PAGE = "/console/webhook"
_LETTERS = "select count(*) from dead_letter"
_PARKED = "select count(*) from parked_event"


class Scene(NamedTuple):
    business: Business
    hook: Receiver
    facts: Facts
    browser: aiohttp.ClientSession

    async def command(self, *arguments: str) -> tuple[int, str, str]:
        return await outcome(self.business.cluster.folder, "callbacks", *arguments)

    async def failures(self, message: str) -> list[dict[str, Any]]:
        """The failures of a message, once there are some: a report is due every five seconds."""

        async def read() -> list[dict[str, Any]]:
            code, out, err = await self.command("failures", "--json")
            assert code == 0, err
            return [one for one in json.loads(out)["failures"] if one["message"] == message]

        found: list[dict[str, Any]] = await soon(read)
        return found

    async def page(self, query: str = "") -> str:
        async with self.browser.get(f"{PAGE}{query}") as answer:
            assert answer.status == 200
            return html.unescape(await answer.text())

    async def act(self, path: str, page: str = PAGE, **fields: str | Sequence[str]) -> str:
        """Post a form; returns the line that says how it ended."""
        form = [
            (name, one)
            for name, value in fields.items()
            for one in ([value] if isinstance(value, str) else value)
        ]
        headers = {"Sec-Fetch-Site": "same-origin"}
        async with self.browser.post(f"{page}/{path}", data=form, headers=headers) as answer:
            text = html.unescape(await answer.text())
        found = re.search(r'<p class="said.*?</p>', text, re.DOTALL)
        assert found is not None
        return re.sub("<[^>]*>", "", found[0])

    async def dead(self, count: int) -> list[str]:
        """Messages of BAD that were refused for seven days, as the database remembers it."""
        self.hook.answer = refusing
        ids = await self.business.come(*({"from": BAD, "body": f"{n}"} for n in range(count)))
        await self.business.come({"from": GOOD, "body": "one that is taken"})
        await self.facts.until_some(f"select 1 where ({_PARKED}) = {count}")
        await self.facts.until_letters(count)
        return ids


def refusing(post: Post) -> Reply:
    refused = any(one["from"] == BAD for one in post.json.get("messages", ()))
    return Reply(500, body=HOSTILE) if refused else Reply(200, body=b"taken")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def business() -> AsyncIterator[Business]:
    dialect = {"WAROUTER_D360": "1"}
    async with running(shards=1, coreapps=2, masters=1, console=True, environment=dialect) as (
        _,
        business,
    ):
        yield business


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser(business: Business) -> AsyncIterator[aiohttp.ClientSession]:
    """Without script, and logged in as the administrator."""
    cluster = business.cluster
    origin = cluster.console_url.removesuffix("/console/")
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(origin, cookie_jar=jar) as http:
        person: Mapping[str, str] = {"username": cluster.user, "password": cluster.password}
        headers = {"Sec-Fetch-Site": "same-origin"}
        async with http.post("/console/login", data=person, headers=headers) as answer:
            assert answer.status == 200
        yield http


@pytest_asyncio.fixture(loop_scope="module")
async def scene(business: Business, browser: aiohttp.ClientSession) -> AsyncIterator[Scene]:
    """A fresh receiver, and no letter."""
    async with Facts(business.cluster) as facts, Receiver() as hook:
        await business.call("DELETE", "/v1/settings/application")
        await business.settings(callback_backoff_delay_ms=50, webhooks={"url": hook.url})
        await followed(facts)
        yield Scene(business, hook, facts, browser)
        await facts.until_none(_LETTERS)
        await facts.until_none(_PARKED)


async def test_refused_callbacks_are_shown_with_the_receivers_answer(scene: Scene) -> None:
    scene.hook.answer = refusing
    (message,) = await scene.business.come({"from": BAD, "body": "a"})
    found = await scene.failures(message)
    assert {(one["result"], one["status"], one["answer"]) for one in found} == {
        ("status", 500, SHOWN)
    }
    assert found[0]["kind"] == "inbound"
    page = await scene.page()
    assert f'href="/console/messages/{message}"' in page
    assert SHOWN in page
    code, out, _ = await scene.command("failures")
    assert code == 0
    assert "% taken" in out
    assert "49...67" in out
    # No page of the API has it.
    for path in ("/v1/support", "/metrics", "/v1/stats/app", "/v1/stats/app/internal"):
        assert "onerror" not in json.dumps(await scene.business.call("GET", path))
    scene.hook.answer = 200
    await scene.hook.until(lambda: message in scene.hook.messages)


async def test_a_registered_webhook_is_shown_with_the_names_of_its_header_fields(
    scene: Scene,
) -> None:
    assert "headers " not in (await scene.command("failures"))[1]
    assert "Registered" not in await scene.page()
    wish = {"url": scene.hook.url, "headers": {"X-Token": "canary"}}
    await scene.business.call("POST", "/v1/configs/webhook", json=wish)
    page, (code, out, _) = await scene.page(), await scene.command("failures")
    assert (code, "\nheaders   X-Token; one event a callback\n" in out) == (0, True)
    assert "one event a callback, with <code>X-Token</code>" in page
    assert "canary" not in page + out
    await scene.business.call("DELETE", "/v1/configs/webhook")
    await scene.business.settings(webhooks={"url": scene.hook.url})


async def test_a_webhook_that_does_not_listen_is_shown_as_refused(scene: Scene) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        await scene.business.settings(webhooks={"url": nobody})
        await followed(scene.facts)
        (message,) = await scene.business.come({"from": GOOD, "body": "a"})
        (*_, first) = await scene.failures(message)
        assert (first["result"], first["status"], first["answer"]) == ("refused", None, "")
    await scene.business.settings(webhooks={"url": scene.hook.url})
    await scene.hook.until(lambda: message in scene.hook.messages)


async def test_a_test_callback_comes_from_every_coreapp(scene: Scene) -> None:
    scene.hook.answer = Reply(200, body=b"taken")
    code, out, _ = await scene.command("test", "--json")
    assert code == 0
    tried = json.loads(out)
    assert [(one["status"], one["answer"]) for one in tried] == [(200, "taken")] * 2
    assert len({one["node"] for one in tried}) == 2
    assert [post.body for post in scene.hook.posts] == [body_of(tried[0]["name"])] * 2

    scene.hook.answer = Reply(403, body=HOSTILE)
    said = await scene.act("test")
    assert "by every coreapp: done" in said
    (name,) = re.findall(r"test (\d+), by every", said)

    async def shown() -> bool:
        return (await scene.page()).count(f"<code>{name}</code>") == 2

    await soon(shown)
    assert SHOWN in await scene.page()
    code, _, err = await scene.command("test")
    assert code == 1
    assert "did not take every test callback" in err


async def test_parked_callbacks_are_retried_on_request(scene: Scene) -> None:
    """Once by command, then by each page; its back-off is longer than any test waits."""
    await scene.business.settings(callback_backoff_delay_ms=900_000)
    await followed(scene.facts)
    for ask in (
        lambda _: scene.command("retry"),
        lambda _: scene.act("retry"),
        lambda message: scene.act("retry", page=f"/console/messages/{message}"),
    ):
        scene.hook.answer = refusing
        (message,) = await scene.business.come({"from": BAD, "body": "a"})
        await scene.facts.until_some(f"select 1 where ({_PARKED}) = 1")
        assert 'action="/console/webhook/retry"' in await scene.page()
        scene.hook.answer = 200
        said = str(await ask(message))
        assert "1 parked callbacks" in said or "retry callbacks" in said, said
        await scene.hook.until(lambda message=message: message in scene.hook.messages)
        await scene.facts.until_none(_PARKED)
    assert 'action="/console/webhook/retry"' not in await scene.page()
    assert await scene.command("retry") == (1, "", "Error: Nothing waits for the webhook.\n")
    assert "Nothing waits for the webhook." in await scene.act("retry")


async def test_a_receiver_that_was_down_is_tried_again_at_a_word(scene: Scene) -> None:
    await scene.business.settings(callback_backoff_delay_ms=900_000)
    await followed(scene.facts)
    scene.hook.answer = 503
    ids = []
    for n in range(3 * FAILURES):  # whichever coreapps have them: one of both has enough
        ids += await scene.business.come({"from": f"4915112345{n:02}", "body": "a"})

    async def down() -> bool:
        return json.loads((await scene.command("failures", "--json"))[1])["outages"] != []

    await soon(down)
    scene.hook.answer = 200
    code, out, _ = await scene.command("retry")
    assert code == 0
    assert out.startswith("2 coreapps try at once what waits: ")
    await scene.hook.until(lambda: set(ids) <= set(scene.hook.messages))


async def test_letters_are_replayed_one_chosen_and_all_of_the_filter(scene: Scene) -> None:
    ids = await scene.dead(6)
    page = await scene.page()
    letters = re.findall(r'type="checkbox" name="id" value="(inbound-\d+-\d+)"', page)
    assert len(letters) == 6
    assert BAD not in page
    assert "Replay 6 letters" in page
    assert "Replay" not in (await scene.page("?kind=status")).partition("</main>")[0].partition(
        'id="live"'
    )[2].replace('scope="col">Replay', "")

    scene.hook.answer = 200
    assert "1 letter: done" in await scene.act("replay", id=letters[0])
    await scene.hook.until(lambda: ids[0] in scene.hook.messages)
    assert "2 letters: done" in await scene.act("replay", id=letters[1:3])
    await scene.hook.until(lambda: set(ids[:3]) <= set(scene.hook.messages))
    assert not set(ids[3:]) & set(scene.hook.messages)

    # As many as the page said, the oldest first; whoever asks for more is told what there was.
    said = await scene.act("replay-all", kind="inbound", number=f"+{BAD}", count="1")
    assert "1 letter: done" in said
    await scene.hook.until(lambda: ids[3] in scene.hook.messages)
    assert "None of these letters is left" in await scene.act(
        "replay-all", kind="status", count="5"
    )
    assert "2 letters: done" in await scene.act("replay-all", reason="WEBHOOK: 500", count="1000")
    await scene.hook.until(lambda: set(ids) <= set(scene.hook.messages))
    assert "count must be a whole number from 1 to 1000" in await scene.act(
        "replay-all", count="1001"
    )
    assert "no row was ticked" in await scene.act("replay")
    assert "is not the id of a dead letter" in await scene.act("replay", id="status-1-1;drop")
    rows = await scene.facts.connection.fetch(
        "select e.outcome, e.subject from audit b join audit e on e.of = b.id"
        " where b.action = 'replay callbacks' order by b.id"
    )
    assert [row["subject"] for row in rows if row["outcome"] == "done"] == [
        *("1 letter", "2 letters", "1 letter", "2 letters")
    ]


async def test_secrets_are_rotated_and_never_shown(scene: Scene) -> None:
    old, new = (f"whsec_{letter * 32}" for letter in "OP")
    assert "1 secret signs callbacks: done" in await scene.act("secret", secret=old)
    assert "2 secrets sign callbacks: done" in await scene.act("secret", secret=new)
    assert "400/1009" in await scene.act("secret", secret="whsec_none")
    assert "1 secret signs callbacks: done" in await scene.act("drop-secret")
    page = await scene.page()
    assert not {secret for secret in (old, new, "whsec_none") if secret in page}
    assert (
        await scene.facts.connection.fetchval(
            "select value #>> '{webhooks,secrets,0}' from setting where name = 'application'"
        )
        == new
    )
    audit = await scene.facts.connection.fetch("select audit::text from audit")
    assert not any("whsec_" in row[0] and "base64" not in row[0] for row in audit)
