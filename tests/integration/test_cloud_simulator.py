"""The Cloud door over real sockets: Graph API, webhooks, record, control port."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import re
import signal
import ssl
import sys
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp
import pytest
import trustme

from tests.harness.cloud import SECRET, TO, TOKEN, Business, Door, new_reference, text
from tests.harness.shell import printed, refused
from tests.harness.wait import soon
from warouter.lab.simulator.cloud.facts import CloudFacts, from_environment
from warouter.lab.simulator.cloud.faults import CloudFaults, described
from warouter.lab.simulator.cloud.server import CloudAddresses, CloudSimulator
from warouter.lab.simulator.simulator_command import tls_context


async def test_a_message_is_taken_and_its_statuses_carry_the_reference(world: Door) -> None:
    ref = new_reference()
    status, answer = await world.send(ref=ref)
    assert status == 200
    assert answer["contacts"][0]["wa_id"] == TO
    wamid = answer["messages"][0]["id"]
    found = await world.statuses(3)
    assert [s["status"] for s in found] == ["sent", "delivered", "read"]
    assert {(s["id"], s["biz_opaque_callback_data"], s["recipient_id"]) for s in found} == {
        (wamid, ref, TO)
    }
    _, record = await world.ask("GET", "/record?ids=1&requests=1")
    assert (record["accepted"], record["unique"], record["duplicates"]) == (1, 1, [])
    assert record["ids"] == {TO: [ref[3:30]]}
    request = record["requests"][0]
    assert (request["reference"], request["attempt"], request["wamid"]) == (ref, 1, wamid)
    assert request["begun"] <= request["accepted"] <= request["answered"]


async def test_two_equal_requests_are_two_messages(world: Door) -> None:
    ref = new_reference()
    first, second = (await world.send(ref=ref))[1], (await world.send(ref=ref))[1]
    assert first["messages"] != second["messages"]
    _, record = await world.ask("GET", "/record")
    assert (record["accepted"], record["unique"], record["same_reference"]) == (2, 1, 1)
    assert record["duplicates"] == [{"id": ref[3:30], "attempts": [1, 1]}]
    assert (record["begun_again"], record["begun_again_open"]) == (1, 1)


async def test_a_bearer_is_asked_for(world: Door) -> None:
    headers = {"Authorization": "Bearer another"}
    status, answer = await world.call("GET", world.url("1"), headers=headers)
    assert (status, answer["error"]["code"]) == (401, 190)


# Nodes


async def test_the_number_its_level_and_unknown_fields(world: Door) -> None:
    node = world.url(world.simulator.facts.phone_number_id)
    for level, shown in ((80, "STANDARD"), (20, "STANDARD"), (1000, "HIGH"), (0, "HIGH")):
        world.use(level=level)
        _, found = await world.call("GET", f"{node}?fields=throughput,status,health_status")
        assert (found["throughput"]["level"], found["status"]) == (shown, "CONNECTED")
        assert found["health_status"]["can_send_message"] == "AVAILABLE"
    status, found = await world.call("GET", f"{node}?fields=nonsense")
    assert (status, found["error"]["code"]) == (400, 100)
    _, found = await world.call("GET", f"{node}?fields=username,account_mode")
    assert set(found) == {"account_mode", "id"}
    assert (await world.call("GET", node))[1]["id"] == world.simulator.facts.phone_number_id


@pytest.mark.parametrize("path", ["1/messages", "messages", "v1", "", "x/y/z/w"])
async def test_unknown_paths_and_numbers(world: Door, path: str) -> None:
    status, answer = await world.call("POST", world.url(path), json={})
    assert (status, answer["error"]["code"]) == (400, 100)


async def test_registration(world: Door) -> None:
    node = world.url(world.simulator.facts.phone_number_id)
    whatsapp = {"messaging_product": "whatsapp"}

    async def post(edge: str, **asked: str) -> tuple[int, int]:
        status, answer = await world.call("POST", f"{node}/{edge}", json=asked)
        return status, answer.get("error", {}).get("code", 0)

    assert await post("deregister") == (200, 0)
    assert (await world.send())[1]["error"]["code"] == 133010
    _, found = await world.call("GET", f"{node}?fields=status")
    assert found["status"] == "DISCONNECTED"
    assert await post("register", pin="123456", **whatsapp) == (400, 136025)
    assert await post("request_code?code_method=FAX&language=en_US") == (400, 100)
    assert await post("request_code?code_method=SMS&language=en_US") == (200, 0)
    _, shown = await world.ask("GET", "/codes")
    code = shown["codes"][world.simulator.facts.number]["code"]
    assert await post("verify_code", code="x") == (400, 136025)
    assert await post("verify_code", code=code) == (200, 0)
    assert await post("register", pin="12", **whatsapp) == (400, 100)
    assert await post("register", pin="123456", **whatsapp) == (200, 0)
    assert await post("register", pin="654321", **whatsapp) == (400, 133005)
    assert await post("", pin="654321") == (200, 0)
    assert await post("register", pin="654321", **whatsapp) == (200, 0)
    assert (await world.send())[0] == 200
    for _ in range(7):
        last = await post("register", pin="654321", **whatsapp)
    assert last == (400, 133016)


async def test_settings_make_the_identity_hash_count(world: Door) -> None:
    url = world.url(f"{world.simulator.facts.phone_number_id}/settings")
    setting = {"user_identity_change": {"enable_identity_key_check": True}}
    assert (await world.call("POST", url, json=setting))[0] == 200
    assert (await world.call("GET", url))[1] == setting
    await soon(lambda: world.simulator.world.intake.checks_identity)
    await world.send()
    status, answer = await world.send(recipient_identity_key_hash="wrong")
    assert (status, answer["error"]["code"]) == (400, 137000)


async def test_the_profile(world: Door) -> None:
    url = world.url(f"{world.simulator.facts.phone_number_id}/whatsapp_business_profile")
    profile = {"messaging_product": "whatsapp", "about": "a", "websites": ["https://x"]}
    assert (await world.call("POST", url, json=profile))[0] == 200
    _, found = await world.call("GET", f"{url}?fields=about")
    assert found["data"][0]["about"] == "a"
    for bad in ({"about": "x" * 140}, {"other": 1}):
        status, _ = await world.call("POST", url, json=profile | bad)
        assert status == 400
    assert (await world.call("POST", url, json={"about": "b"}))[0] == 400


async def test_templates_are_listed_page_by_page(world: Door) -> None:
    url = world.url(f"{world.simulator.facts.waba_id}/message_templates")
    world.use(categories={"code": "AUTHENTICATION", "news": "MARKETING"})
    made = {"name": "made", "category": "UTILITY", "language": "de"}
    assert (await world.call("POST", url, json=made))[1]["status"] == "APPROVED"
    assert (await world.call("POST", url, json={"name": "x"}))[0] == 400
    fields = "fields=name,category,language,status"
    _, first = await world.call("GET", f"{url}?{fields}&limit=2")
    assert {t["name"]: t["category"] for t in first["data"]} == {
        "code": "AUTHENTICATION",
        "made": "UTILITY",
    }
    _, second = await world.call("GET", first["paging"]["next"])
    assert [t["name"] for t in second["data"]] == ["news"]
    assert "next" not in second["paging"]
    _, found = await world.call("GET", f"{url}?name=made")
    assert [t["language"] for t in found["data"]] == ["de"]
    assert "summary" not in found
    counted = "summary=total_count,message_template_count,message_template_limit"
    _, found = await world.call("GET", f"{url}?name=made&{counted}")
    assert found["summary"] == {
        "total_count": 1,
        "message_template_count": 3,
        "message_template_limit": 6000,
    }
    assert (await world.call("GET", f"{url}?summary=x"))[0] == 400


async def test_the_account(world: Door) -> None:
    waba = world.url(world.simulator.facts.waba_id)
    assert (await world.call("GET", waba))[1]["id"] == world.simulator.facts.waba_id
    _, numbers = await world.call("GET", f"{waba}/phone_numbers")
    assert numbers["data"][0]["id"] == world.simulator.facts.phone_number_id
    assert (await world.call("DELETE", f"{waba}/subscribed_apps"))[0] == 200
    assert (await world.call("GET", f"{waba}/subscribed_apps"))[1] == {"data": []}
    assert (await world.call("POST", f"{waba}/subscribed_apps"))[0] == 200
    assert len((await world.call("GET", f"{waba}/subscribed_apps"))[1]["data"]) == 1


# Media


def form(content: bytes = b"abc") -> aiohttp.FormData:
    found = aiohttp.FormData()
    found.add_field("messaging_product", "whatsapp")
    found.add_field("type", "image/png")
    found.add_field("file", io.BytesIO(content), filename="a.png", content_type="image/png")
    return found


async def test_media_are_uploaded_sent_and_deleted(world: Door) -> None:
    url = world.url(f"{world.simulator.facts.phone_number_id}/media")
    content = bytes(range(256)) * 5000 + b"\r\n--"
    status, answer = await world.call("POST", url, data=form(content))
    assert status == 200
    id = answer["id"]
    assert id.isdigit()
    _, found = await world.call("GET", world.url(f"{id}?phone_number_id=1"))
    assert found["sha256"] == hashlib.sha256(content).hexdigest()
    assert await world.call("GET", found["url"]) == (200, content)
    ref = new_reference()
    assert (await world.send(ref=ref, type="image", image={"id": id}))[0] == 200
    _, record = await world.ask("GET", "/record?media=1")
    assert record["media"] == {
        ref[3:30]: [{"mime": "image/png", "bytes": len(content), "sha256": found["sha256"]}]
    }
    assert await world.call("DELETE", world.url(id)) == (200, {"success": True})
    assert (await world.call("GET", world.url(id)))[0] == 400
    status, answer = await world.send(type="image", image={"id": id})
    assert answer["error"]["code"] == 131053
    assert world.record.counters.media_unknown == 1


async def test_uploads_that_are_no_form(world: Door) -> None:
    url = world.url(f"{world.simulator.facts.phone_number_id}/media")
    assert (await world.call("POST", url, data=b"abc"))[0] == 400
    assert (await world.call("POST", url, data=form(b"")))[1]["error"]["code"] == 131053
    only_file = aiohttp.FormData()
    only_file.add_field("file", b"abc", filename="a", content_type="image/png")
    assert (await world.call("POST", url, data=only_file))[1]["error"]["code"] == 100


async def test_troubles_of_media(world: Door) -> None:
    url = world.url(f"{world.simulator.facts.phone_number_id}/media")
    world.use(media_status=503)
    assert (await world.call("POST", url, data=form()))[0] == 503
    world.use(media_ms=1)
    assert (await world.call("POST", url, data=form()))[0] == 200


# Record and control


async def test_read_marks(world: Door) -> None:
    mark = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.a"}
    typing = mark | {"typing_indicator": {"type": "text"}}
    for body in (mark, mark, typing):
        assert await world.call("POST", world.messages_url, json=body) == (200, {"success": True})
    _, record = await world.ask("GET", "/record?ids=1")
    assert (record["read_marks"], record["typing"], record["marks"]) == (1, 1, ["wamid.a"])
    assert record["received"] == 0


async def test_requests_since_a_time_and_forgetting(world: Door) -> None:
    await world.send()
    _, index = await world.ask("GET", "/")
    await world.send()
    _, record = await world.ask("GET", f"/record?since={index['monotonic_s']}")
    assert len(record["requests"]) == 1
    assert (await world.ask("GET", "/record?since=x"))[0] == 400
    await world.ask("DELETE", "/record")
    _, record = await world.ask("GET", "/record?ids=1&requests=1")
    assert (record["received"], record["ids"], record["requests"]) == (0, {}, [])


async def test_switches_over_the_control_port(world: Door) -> None:
    status, faults = await world.ask("PUT", "/faults", {"drop_after": 0.5})
    assert (status, faults["drop_after"]) == (200, 0.5)
    assert (await world.ask("PUT", "/faults", {"drop_after": 2}))[0] == 400
    assert (await world.ask("PUT", "/faults", {"forget_fence": True}))[0] == 400
    assert world.simulator.faults.drop_after == 0.5
    status, faults = await world.ask("DELETE", "/faults")
    assert (faults["drop_after"], faults["level"]) == (0.0, 80)


async def test_the_date_is_of_metas_clock(world: Door) -> None:
    world.use(clock_s=3600)
    async with world.session.get(world.url("1")) as answer:
        date = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    assert date - time.time() > 3000


async def test_a_renewed_token_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    simulator = CloudSimulator(CloudFacts(token_file=file))
    addresses = await simulator.start()
    url = f"{addresses.graph_url}/v25.0/{simulator.facts.phone_number_id}"
    try:
        async with aiohttp.ClientSession() as session:

            async def status(token: str) -> int:
                headers = {"Authorization": f"Bearer {token}"}
                async with session.get(url, headers=headers) as answer:
                    return answer.status

            assert (await status("first"), await status("second")) == (200, 401)
            file.write_text("first\nsecond\n")
            assert await status("second") == 200
    finally:
        await simulator.stop()


def test_facts_come_from_the_environment() -> None:
    environment = {
        "WAROUTER_CLOUD_PHONE_NUMBER_ID": "12",
        "WAROUTER_CLOUD_APP_SECRET": "new\nold",
        "WAROUTER_CLOUD_TOKEN": "t",
    }
    facts = from_environment(environment, "+1 555 777")
    assert (facts.phone_number_id, facts.number) == ("12", "1555777")
    assert (facts.secret(), facts.tokens()) == ("new", ["t"])
    with pytest.raises(ValueError, match="WABA_ID must be digits"):
        from_environment({"WAROUTER_CLOUD_WABA_ID": "x"})
    with pytest.raises(ValueError, match="holds no app secret"):
        from_environment({"WAROUTER_CLOUD_APP_SECRET_FILE": "/nowhere"})


# The command


async def test_the_command_serves_with_its_switches(world: Door) -> None:
    environment = {"WAROUTER_CLOUD_TOKEN": TOKEN, "WAROUTER_CLOUD_APP_SECRET": SECRET}
    arguments = ["--cloud", "--port", "0", "--control-port", "0", "--number", "+15557770001"]
    urls = f"{world.business.url},{world.business.url}?second"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "warouter",
        "simulator",
        *arguments,
        "--webhook-url",
        urls,
        "--fault",
        "level=1000",
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        found = re.fullmatch(r"Graph API at (\S+), control port (\S+)\n", line)
        assert found is not None
        world.addresses = CloudAddresses(found[1], found[2])
        assert (await world.send())[0] == 200
        assert len(await world.statuses(3)) == 3
        assert world.business.values()[0]["metadata"]["display_phone_number"] == "15557770001"
        command = ["simulator", "faults", "--url", found[2], "spam=0.5", "opaque=never"]
        shown = json.loads(await printed(None, *command))
        assert (shown["level"], shown["spam"], shown["opaque"]) == (1000, 0.5, "never")
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_help_documents_every_switch() -> None:
    shown = await printed(None, "simulator", "--help")
    assert all(re.search(rf"\n +{name} \(", shown) for name, _, _ in described())


async def test_a_wrong_switch_is_one_sentence() -> None:
    said = await refused(None, "simulator", "--cloud", "--fault", "drop_after=2")
    assert "drop_after" in said


@pytest.mark.parametrize("url", ["nonsense", "ftp://host/", "http://", "http://a,b"])
async def test_a_bad_webhook_url_gets_one_sentence(url: str) -> None:
    said = await refused(None, "simulator", "--cloud", "--port", "0", "--webhook-url", url)
    assert "is not an http or https URL" in said


# TLS


async def test_over_tls_and_with_a_certificate_to_show(
    tmp_path: Path,
) -> None:
    authority = trustme.CA()
    server, client = authority.issue_cert("127.0.0.1"), authority.issue_cert("client.meta")
    pem = [tmp_path / name for name in ("cert", "key")]
    server.cert_chain_pems[0].write_to_path(pem[0])
    server.private_key_pem.write_to_path(pem[1])
    shows = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(shows)
    client.configure_cert(shows)
    asks = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    asks.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(asks)
    server.configure_cert(asks)
    trusts = ssl.create_default_context()
    authority.configure_trust(trusts)
    business = Business()
    await business.start(asks)
    serves = tls_context(ssl.PROTOCOL_TLS_SERVER, (pem[0], pem[1]))
    facts = CloudFacts(token=TOKEN, app_secret=SECRET)
    simulator = CloudSimulator(facts, tls=serves, client_tls=shows, webhook_urls=[business.url])
    addresses = await simulator.start()
    found = Door(simulator, addresses)
    try:
        message = text(TO, new_reference())
        status, _ = await found.call("POST", found.messages_url, json=message, ssl=trusts)
        assert status == 200
        await business.watch.until(lambda: len(business.elements()) == 3)
        simulator.use(CloudFaults(drop_after=1.0))
        for _ in range(4):
            with pytest.raises(aiohttp.ClientError):
                await found.call("POST", found.messages_url, json=message, ssl=trusts)
    finally:
        await found.session.close()
        await simulator.stop()
        await business.stop()
