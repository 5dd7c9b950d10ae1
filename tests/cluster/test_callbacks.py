"""What the business's webhook gets from a whole cluster, by the rules of receivers that exist.

The receivers B1, B4, B5 of the list of clients; C39 in detail. C39 to C44 with both upstreams are
in tests/api.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
import pytest_asyncio

from tests.cluster.conftest import running
from tests.harness import form
from tests.harness.business import Business
from tests.harness.receiver import Receiver
from warouter.local.cluster import Cluster

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("callbacks")]


class Scene(NamedTuple):
    """A cluster and a client of its API."""

    cluster: Cluster
    business: Business


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scene() -> AsyncIterator[Scene]:
    async with running(shards=1, coreapps=2, masters=1) as (cluster, business):
        yield Scene(cluster, business)


@pytest_asyncio.fixture(loop_scope="module")
async def hook(scene: Scene) -> AsyncIterator[Receiver]:
    """A fresh receiver, the defaults but for a quick back-off, no faults."""
    async with Receiver(form=form.check) as hook:
        await scene.business.call("DELETE", "/v1/settings/application")
        await scene.business.settings(
            callback_backoff_delay_ms=100,
            show_security_notifications=True,
            webhooks={"url": hook.url, "message": {"sent": True}},
        )
        await scene.business.come({"from": "491510000000", "body": "are you there?"})
        await hook.until(lambda: hook.messages)  # the owner goes by the new settings
        for kept in (hook.messages, hook.contacts, hook.posts):
            kept.clear()
        yield hook
        async with scene.business.http.delete(f"{scene.cluster.control_url}/faults") as answer:
            assert answer.status == 200
        assert hook.wrong == []


class TestInbound:
    async def test_an_out_of_band_error_stands_at_the_top(
        self, scene: Scene, hook: Receiver
    ) -> None:
        error = {"code": 1014, "title": "Internal error", "details": "media lost"}
        (name,) = await scene.business.come({"from": "49151", "type": "error", "error": error})
        await hook.until(lambda: hook.errors)
        assert hook.errors == [error]
        mark = scene.business.http.put(
            f"{scene.cluster.url}/v1/messages/{name}",
            json={"status": "read"},
            headers=scene.business.headers,
        )
        async with mark as answer:
            assert answer.status == 404


class TestReadMarks:
    async def test_a_mark_goes_upstream_once_and_by_the_id(
        self, scene: Scene, hook: Receiver
    ) -> None:
        (name,) = await scene.business.come({"from": "491512222222", "body": "hello"})
        await hook.until(lambda: name in hook.messages)
        for _ in range(2):
            answer = await scene.business.call(
                "PUT", f"/v1/messages/{name}", json={"status": "read"}
            )
            assert set(answer) == {"meta"}
        # It goes the way of a message, in its order, and is none: no status of it comes.
        sent = await scene.business.message("491512222222")
        await hook.until(lambda: "read" in hook.names(sent))
        assert (await scene.business.record())["marks"].count(name) == 1
        assert set(hook.statuses) == {sent}


class TestStatuses:
    @pytest.mark.parametrize("how", ["taken", "refused"])
    async def test_a_failure_is_final_and_says_why(
        self, scene: Scene, hook: Receiver, how: str
    ) -> None:
        """By the upstream after it took the message, or by the owner whose message it refused."""
        to = "491514444444"
        faults = {"failed": 1.0} if how == "taken" else {"unknown": [to]}
        await scene.business.faults(**faults)
        name = await scene.business.message(to)
        await hook.until(lambda: hook.statuses[name])
        await scene.business.faults(failed=0.0, unknown=[])
        later = await scene.business.message(to)
        await hook.until(lambda: "read" in hook.names(later))
        assert hook.names(name) == ["failed"]
        (error,) = hook.statuses[name][0]["errors"]
        assert error["code"] == (1026 if how == "taken" else 470)
        assert error["href"]

    async def test_deleted_and_warning(self, scene: Scene, hook: Receiver) -> None:
        await scene.business.faults(warning=1.0, deleted=1.0)
        name = await scene.business.message("491515555555")
        await hook.until(lambda: len(hook.statuses[name]) == 3)
        assert hook.names(name) == ["warning", "delivered", "deleted"]

    async def test_a_repeated_status_is_called_back_once(
        self, scene: Scene, hook: Receiver
    ) -> None:
        await scene.business.faults(repeat=1.0)
        name = await scene.business.message("491517777777")
        await hook.until(lambda: len(hook.statuses[name]) == 3)
        await asyncio.sleep(0.3)  # the copies come 100 ms later
        assert hook.names(name) == ["sent", "delivered", "read"]

    async def test_switches_and_prices_by_the_settings(self, scene: Scene, hook: Receiver) -> None:
        await scene.business.settings(
            webhooks={"message": {"sent": False, "delivered": True, "read": False}},
            webhook_payload_conversation_pricingmodel_disabled=True,
        )
        while True:  # until the coreapps have read the settings
            name = await scene.business.message("491518888888")
            await hook.until(lambda name=name: "delivered" in hook.names(name))
            if "pricing" not in hook.statuses[name][-1]:
                break
        name = await scene.business.message("491518888888")
        after = await scene.business.message("491518888888")
        await hook.until(lambda: "delivered" in hook.names(after))
        assert hook.names(name) == ["delivered"]
        assert "conversation" not in hook.statuses[name][0]


class TestRefusals:
    async def test_an_identity_is_refused_until_it_is_acknowledged(
        self, scene: Scene, hook: Receiver
    ) -> None:
        """End to end: from the request to the callback that says why."""
        business, to = scene.business, "491520000001"
        path = f"/v1/contacts/{to}/identity"
        await business.faults(identity_check=True)
        await hook.status(await business.message(to), "read")
        assert (await business.call("GET", path))["identity"]["acknowledged"]
        system = {"type": "user_identity_changed", "body": "changed"}
        await business.come({"from": to, "type": "system", "system": system})
        failed = await hook.status(await business.message(to), "failed")
        (error,) = failed["errors"]
        assert (error["code"], error["title"]) == (480, "User potentially changed")
        assert error["details"]
        assert error["href"] == f"/v1/errors#{error['code']}"
        hash = (await business.call("GET", path))["identity"]["hash"]
        changed = await business.call("PUT", path, json={"hash": hash})
        assert changed["identity"]["acknowledged"]
        await hook.status(await business.message(to), "read")
