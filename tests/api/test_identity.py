"""GET and PUT /v1/contacts/{wa_id}/identity against the simulator's services (C45)."""

from __future__ import annotations

import time

import pytest
import pytest_asyncio

from tests.harness.api import Api, Webapp
from warouter.lab.simulator.inbound import build
from warouter.lab.simulator.server import Simulator

TO = "250788123123"
PATH = f"/v1/contacts/{TO}/identity"


@pytest_asyncio.fixture
async def api(webapp: Webapp, services_url: str) -> Api:
    return await webapp(services_url=services_url)


def inject(simulator: Simulator, **fields: object) -> None:
    message = build({"from": TO, **fields}, "id", 1)
    simulator.exchange.inject(message, time.monotonic(), time.time())


async def test_c45_nothing_is_known(api: Api) -> None:
    for method, body in (("GET", None), ("PUT", {"hash": "x"})):
        (await api.call(method, PATH, body, token=api.user)).refused(404, 1006)


async def test_c45_changed_and_acknowledged(api: Api, simulator: Simulator) -> None:
    inject(simulator, body="hello")
    first = (await api.call("GET", PATH, token=api.user)).json
    assert set(first) == {"identity", "meta"}
    assert first["identity"]["acknowledged"] is True
    assert abs(first["identity"]["created_timestamp"] - time.time()) < 60
    inject(simulator, type="system", system={"type": "user_identity_changed", "body": "changed"})
    changed = (await api.call("GET", f"{PATH}/", token=api.user)).json["identity"]
    assert changed["hash"] != first["identity"]["hash"]
    assert changed["acknowledged"] is False
    (await api.call("PUT", PATH, {"hash": first["identity"]["hash"]}, token=api.user)).refused(
        400, 1009
    )
    assert (await api.call("GET", PATH, token=api.user)).json["identity"] == changed
    known = await api.call("PUT", PATH, {"hash": changed["hash"]}, token=api.user)
    assert known.status == 200
    assert known.json["identity"] == {**changed, "acknowledged": True}
    assert (await api.call("GET", PATH, token=api.user)).json["identity"]["acknowledged"]


@pytest.mark.parametrize(
    ("body", "code"),
    [({}, 1008), ({"hash": ""}, 1009), ({"hash": 5}, 1009), ([], 1009), ({"hash": None}, 1009)],
)
async def test_bad_hashes(api: Api, simulator: Simulator, body: object, code: int) -> None:
    inject(simulator, body="hello")
    (await api.call("PUT", PATH, body, token=api.user)).refused(400, code)


@pytest.mark.parametrize("name", ["bob", "1", "..%2F..%2Fcontacts", "25078%0a8123123", "%00"])
async def test_an_identity_of_no_number_is_404(api: Api, name: str) -> None:
    (await api.call("GET", f"/v1/contacts/{name}/identity", token=api.user)).refused(404, 1006)
    assert (await api.call("GET", PATH)).status == 401
