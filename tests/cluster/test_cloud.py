"""An ordinary life with the Cloud API: messages that refer to others, refusals, rates, stops.

Nobody dies. The policy for what is in doubt is ``fail``; the window is 2 s.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from tests.cluster.conftest import ONE, on_cloud
from tests.harness import exposition
from tests.harness.meta import Scene, ids_of
from tests.harness.monitoring import metrics_asked_for
from tests.harness.served import serving
from tests.harness.wait import soon
from warouter.metric_catalogue import CATALOGUE, MetricPage

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("cloud")]

ENVIRONMENT = {
    "WAROUTER_CLOUD_DOUBT_SECONDS": "2",
    "WAROUTER_CLOUD_RATE": "1000",
    "WAROUTER_CLOUD_IN_DOUBT": "fail",
}
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 30
RENEWED = "a-token-that-an-operator-wrote"
GOAL_SECONDS = 5.0  # from a renewed token to the first message
MOST_SECONDS = 4 * GOAL_SECONDS  # on a machine that stands still


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def cluster() -> AsyncIterator[Scene]:
    async with on_cloud(**ONE, environment=ENVIRONMENT) as scene:
        yield scene


class TestMessages:
    async def test_an_hsm_is_taken(self, scene: Scene) -> None:
        """Guards ``outgoing.translate`` for the one type that Meta's API has under another name;
        ``tests/api/test_conformance_messages.py`` sends the others through this door.
        """
        (to,) = scene.recipients(1)
        hsm = {
            "namespace": "n",
            "element_name": "t",
            "language": {"policy": "fallback", "code": "de"},
            "localizable_params": [{"default": "a"}],
        }
        message_id = await scene.post(to, type="hsm", hsm=hsm)
        await scene.once_in_order({to: [message_id]})

    async def test_media_by_id_and_by_link_are_uploaded(self, scene: Scene) -> None:
        """Guards ``CloudMedia.upload``, and the order of handles in ``translate``."""
        (to,) = scene.recipients(1)
        media_id = await scene.business.uploaded(JPEG)
        async with serving(picture) as url:
            ids = [
                await scene.post(to, type="image", image={"id": media_id, "caption": "c"}),
                await scene.post(to, type="image", image={"link": f"{url}/x.jpg"}),
            ]
            await scene.once_in_order({to: ids})
        media = (await scene.record("media=1"))["media"]
        digest = hashlib.sha256(JPEG).hexdigest()
        assert [[one["sha256"] for one in media[i]] for i in ids] == [[digest], [digest]]

    async def test_a_message_that_quotes_and_one_that_reacts_name_the_wamid(
        self, scene: Scene
    ) -> None:
        """Guards ``Lookups``: our ids become Meta's. A reaction to what Meta never had fails."""
        (to,) = scene.recipients(1)
        first = await scene.post(to)
        await scene.ended(first)
        second = await scene.post(to, context={"message_id": first})
        third = await scene.post(to, type="reaction", reaction={"message_id": first, "emoji": "x"})
        await scene.once_in_order({to: [first, second, third]})

    async def test_a_reaction_to_a_message_that_failed_fails(self, scene: Scene) -> None:
        (to,) = scene.recipients(1)
        await scene.use(code=131009)
        failed = await scene.post(to)
        await scene.ended(failed, status="failed")
        await scene.use(code=0)
        reaction = {"message_id": failed, "emoji": "x"}
        message_id = await scene.post(to, type="reaction", reaction=reaction)
        await scene.ended(message_id, status="failed")
        assert scene.business.failure(message_id)["code"] == 1009
        quoting = await scene.post(to, context={"message_id": failed})
        await scene.ended(quoting)

    async def test_a_read_mark_goes_out(self, scene: Scene) -> None:
        (sender,) = scene.recipients(1)
        (name,) = await scene.business.come({"from": sender, "type": "text", "body": "hello"})
        await scene.business.until(lambda: name in scene.business.receiver.messages)
        await scene.business.call("PUT", f"/v1/messages/{name}", json={"status": "read"})

        async def marked() -> bool:
            return name in (await scene.record())["marks"]

        await soon(marked)


class TestRefusals:
    @pytest.mark.parametrize(
        ("meta", "ours", "words"),
        [
            (131047, 470, "More than 24 hours since the customer last replied."),
            (131030, 1007, "The number is not allowed to be messaged."),
            (131048, 471, "Too many messages were blocked or flagged as spam."),
            (131042, 402, "There was a payment method issue."),
            (132001, 2001, "The template does not exist in the language."),
            (100, 1009, "The request included one or more unsupported parameters."),
        ],
    )
    async def test_a_final_refusal_is_a_failed_status_in_metas_words(
        self, scene: Scene, meta: int, ours: int, words: str
    ) -> None:
        """Guards ``meanings.TABLE`` and ``answers.judge``."""
        (to,) = scene.recipients(1)
        await scene.use(code=meta)
        message_id = await scene.post(to)
        await scene.ended(message_id, status="failed")
        error = scene.business.failure(message_id)
        assert (error["code"], error["details"]) == (ours, words)
        assert len(await scene.requests(message_id)) == 1

    async def test_one_that_comes_later_is_the_same(self, scene: Scene) -> None:
        """Guards ``answers.status_error``."""
        (to,) = scene.recipients(1)
        await scene.use(failed=1.0, failed_code=131026)
        message_id = await scene.post(to)
        await scene.ended(message_id, status="failed")
        error = scene.business.failure(message_id)
        assert (error["code"], error["details"]) == (1013, "Message Undeliverable.")


class TestRates:
    async def test_a_number_that_sends_too_fast_sends_again_slower(self, scene: Scene) -> None:
        """130429. Guards ``Pace.heard`` (AIMD), and that class N is no doubt."""
        await scene.use(throttle=1.0)
        sent = await scene.load(scene.recipients(10))
        await scene.asked(ids_of(sent)[0])
        await scene.use(throttle=0.0)
        await scene.once_in_order(sent)
        assert (await scene.record())["refused_codes"]["130429"] > 0
        assert scene.said_of("message doubted", ids_of(sent)) == []

    async def test_a_recipient_that_gets_too_many_waits_alone(self, scene: Scene) -> None:
        """131056. Guards class L: its lane waits 4^n s, others go on."""
        waiting, other = scene.recipients(2)
        await scene.use(code=131056)
        first = await scene.post(waiting)
        await scene.asked(first)
        await scene.use(code=0)
        await scene.business.called_back("read", await scene.post(other))
        assert scene.shown(first) == ()
        await scene.once_in_order({waiting: [first]})

    async def test_a_number_in_maintenance_waits(self, scene: Scene) -> None:
        """131057. Guards class P: nothing is asked while it lasts."""
        await scene.use(upgrade_s=1)
        to = scene.recipients(6)
        first = await scene.post(to[0])
        await scene.asked(first)
        sent = {to[0]: [first], **await scene.load(to[1:])}
        await scene.once_in_order(sent)
        assert len(await scene.requests(*ids_of(sent))) <= 2 * len(sent)


class TestWatching:
    async def test_every_metric_of_the_cloud_api_is_there(self, scene: Scene) -> None:
        """Whatever rules and dashboard ask for, with two webapps or one."""
        (to,) = scene.recipients(1)
        await scene.ended(await scene.post(to))
        asked = {name for name in metrics_asked_for() if name.startswith("warouter_cloud_")}
        await soon(lambda: self._shown(scene, "/metrics", asked))
        of_coreapps = {name for name in asked if CATALOGUE[name].page is MetricPage.APP}
        await soon(lambda: self._shown(scene, "/v1/stats/app", of_coreapps))
        for entity in ("phone_number", "waba", "business", "app"):
            assert await scene.metric("warouter_cloud_can_send", entity=entity) == 2
        assert await scene.metric("warouter_cloud_quality") == 3
        assert await scene.metric("warouter_cloud_token_end_seconds") == 0
        assert 0 <= await scene.metric("warouter_cloud_webhook_age_seconds") < MOST_SECONDS

    async def _shown(self, scene: Scene, page: str, wanted: set[str]) -> bool:
        url = f"{scene.cluster.url}{page}?format=prometheus"
        async with scene.business.http.get(url, headers=scene.business.headers) as answer:
            found = exposition.read(await answer.text()) if answer.status == 200 else []
        return wanted <= {sample.name for sample in found}

    async def test_limits_by_meta_show_in_health_status_and_metrics(self, scene: Scene) -> None:
        """Guards ``NumberReader``. Asked once a minute, and when a webhook tells of the level."""
        await scene.use(health={"WABA": "BLOCKED"}, quality="RED")
        await self._noticed(scene)
        await soon(lambda: self._warns(scene, 2))
        meta = (await scene.business.call("GET", "/v1/health"))["meta"]
        assert " is BLOCKED: code 141006: " in meta["warnings"][0]
        assert (meta["number"]["can_send"], meta["number"]["quality"]) == ("BLOCKED", "RED")
        await soon(lambda: self._is(scene, "warouter_cloud_can_send", 0, entity="waba"))
        await scene.use(health={}, quality="GREEN")
        await self._noticed(scene)
        await soon(lambda: self._warns(scene, 0))

    async def _noticed(self, scene: Scene) -> None:
        """Meta's webhook about the number's level."""
        value = {"event": "THROUGHPUT_UPGRADE", "display_phone_number": "15557770000"}
        notice = {"field": "phone_number_quality_update", "value": value}
        await scene.business.come(notice)

    async def _warns(self, scene: Scene, count: int) -> bool:
        meta = (await scene.business.call("GET", "/v1/health"))["meta"]
        return len(meta.get("warnings", ())) == count

    async def _is(self, scene: Scene, name: str, value: float, **labels: str) -> bool:
        return await scene.metric(name, **labels) == value

    async def test_outcomes_of_metas_internal_errors_are_counted(self, scene: Scene) -> None:
        """Q13. They had been taken, as their statuses say."""
        await scene.use(fail_after=1.0, fail_after_as="131016")
        (to,) = scene.recipients(1)
        message_id = await scene.post(to)
        await scene.asked(message_id)
        await scene.use(fail_after=0.0)
        await scene.ended(message_id)
        await soon(lambda: self._counted(scene))

    async def _counted(self, scene: Scene) -> bool:
        labels = {"code": "131016", "status": "sent"}
        return (
            await scene.metric("warouter_cloud_error_answers_total", code="131016") > 0
            and await scene.metric("warouter_cloud_error_then_status_total", **labels) > 0
        )


class TestStops:
    async def test_a_dead_token_stops_the_number_and_a_new_one_resumes_it(
        self, scene: Scene
    ) -> None:
        """Class O, 190. Guards ``NumberStop``: the backlog waits, nothing fails."""
        await scene.use(expired_tokens=[scene.secret("TOKEN")], other_tokens=[RENEWED])
        to = scene.recipients(8)
        sent = await scene.load(to[:1])
        await soon(lambda: self._connected(scene, 0))
        assert scene.said("number stopped: messages wait")
        tried = (await scene.record())["unauthorized"]
        sent = {**sent, **await scene.load(to[1:])}
        scene.secret_file("TOKEN").write_text(RENEWED)
        began = time.monotonic()
        await scene.once_in_order(sent)
        # They waited: only whether the number is well again was asked meanwhile.
        assert (await scene.record())["unauthorized"] < tried + len(to) - 1
        first = min(row["begun"] for row in await scene.requests(*ids_of(sent)))
        print(f"resumed after {first - began:.2f} s (goal {GOAL_SECONDS:g})")
        assert first - began < MOST_SECONDS
        await soon(lambda: self._connected(scene, 1))

    async def _connected(self, scene: Scene, count: int) -> bool:
        nodes = (await scene.business.call("GET", "/v1/health"))["health"].values()
        coreapps = [n for n in nodes if n["role"] == "coreapp"]
        return sum(n["gateway_status"] == "connected" for n in coreapps) == count


class TestPolicy:
    async def test_that_of_the_number_holds_unless_the_message_says_otherwise(
        self, scene: Scene
    ) -> None:
        """Guards WAROUTER_CLOUD_IN_DOUBT and ``RuleBook.of``."""
        usual, other = scene.recipients(2)
        await scene.use(drop_before=1.0)
        failing = await scene.post(usual)
        going_on = await scene.post(other, {"Warouter-In-Doubt": "resend"})
        await scene.asked(failing, going_on)
        await scene.use(drop_before=0.0)
        async with scene.pulse():
            await scene.ended(going_on)
            await scene.ended(failing, status="failed")
        assert scene.business.failure(failing)["code"] == 500
        assert (await scene.attempts(failing), await scene.attempts(going_on)) == ([1], [1, 2])


async def picture(_request: web.Request) -> web.Response:
    return web.Response(body=JPEG, content_type="image/jpeg")
