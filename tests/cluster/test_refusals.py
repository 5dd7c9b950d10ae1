"""What the upstream refuses, end to end: from the request to the callback that says why."""

from __future__ import annotations

from tests.cluster.conftest import ONE, Start

TO = "491520000001"


async def test_an_identity_is_refused_until_it_is_acknowledged(start: Start) -> None:
    _, business = await start(**ONE)
    path = f"/v1/contacts/{TO}/identity"
    await business.faults(identity_check=True)
    await business.called_back("read", await business.message(TO))
    assert (await business.call("GET", path))["identity"]["acknowledged"]
    system = {"type": "user_identity_changed", "body": "changed"}
    await business.come({"from": TO, "type": "system", "system": system})
    refused = await business.message(TO)
    await business.called_back("failed", refused)
    error = business.failure(refused)
    assert (error["code"], error["title"]) == (480, "User potentially changed")
    assert error["details"]
    assert error["href"] == f"/v1/errors#{error['code']}"
    hash = (await business.call("GET", path))["identity"]["hash"]
    assert (await business.call("PUT", path, json={"hash": hash}))["identity"]["acknowledged"]
    await business.called_back("read", await business.message(TO))
