"""POST /v1/account and /verify, and two-step, against the Cloud door of the simulator."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import AsyncIterator
from random import Random
from typing import Any, NamedTuple
from unittest.mock import AsyncMock

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.api import Answer, Api, Webapp
from tests.harness.cloud import client_settings
from warouter.api.account.cloud_registration import PIN, CloudRegistrar
from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.graph.errors import GraphError
from warouter.lab.simulator.cloud.server import CloudSimulator
from warouter.lab.simulator.number_authority import CODE_TRIES, CODES
from warouter.store.account.accounts import Account, Accounts
from warouter.store.account.registration import unregister
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.described import NumberFields
from warouter.upstream.cloud.graph.number_calls import NumberCalls
from warouter.upstream.cloud.secrets import Secrets

CERT = b64encode(b"any certificate").decode()
WISH = {"cc": "49", "phone_number": "301234567", "method": "sms", "cert": CERT}
FACTS = CloudFacts(number="49301234567", name="Bakery", token="token-1")
GIVEN = "908172"
TWO_STEP = "/v1/settings/account/two-step"


class Registering(NamedTuple):
    """An API whose registrar is Meta's stand-in."""

    api: Api
    simulator: CloudSimulator
    calls: Calls

    async def cut_off(self) -> None:
        """No connection to Meta is left, and there are no new ones."""
        self.simulator.use(CloudFaults().changed({"refuse": True}))
        await self.calls.close()
        self.calls._session = None

    async def call(self, method: str, path: str, body: object = None) -> Answer:
        return await self.api.call(method, path, body, token=self.api.admin)

    async def ask(self, **fields: Any) -> Answer:
        return await self.call("POST", "/v1/account", WISH | fields)

    async def verify(self, code: str = "") -> Answer:
        shown = self.simulator.numbers.codes(time.monotonic())
        sent = str(shown[FACTS.number]["code"]) if FACTS.number in shown else "000000"
        return await self.call("POST", "/v1/account/verify", {"code": code or sent})

    async def account(self) -> Account | None:
        return await self.api.context.accounts.account(1)


@pytest_asyncio.fixture
async def cloud(webapp: Webapp, pool: asyncpg.Pool) -> AsyncIterator[Registering]:
    """The number is neither registered nor verified; it has no pin."""
    simulator = CloudSimulator(FACTS, random=Random(1))
    addresses = await simulator.start()
    simulator.number.registered = simulator.number.verified = False
    settings, of = client_settings(FACTS, addresses.graph_url)
    secrets = Secrets(of)
    calls = Calls(settings, secrets)
    registrar = CloudRegistrar(of, NumberCalls(calls), Accounts(pool), secrets)
    try:
        yield Registering(await webapp(registrar=registrar, any_cert=True), simulator, calls)
    finally:
        await calls.close()
        await simulator.stop()


async def test_a_code_is_sent_and_registers_the_number(cloud: Registering) -> None:
    asked = await cloud.ask()
    assert (asked.status, asked.json["account"]) == (202, [{"vname": "Bakery"}])
    assert await cloud.account() is None
    assert (await cloud.verify("999999")).status == 400
    assert not cloud.simulator.number.registered
    assert (await cloud.verify()).status == 201
    assert cloud.simulator.number.registered
    account = await cloud.account()
    assert account is not None
    assert (account.cc, account.phone_number, account.cert) == ("49", "301234567", CERT)
    # The pin was drawn: nobody can be asked for it.
    assert account.pin_hash is None
    assert (await cloud.verify()).status == 201  # repeated, as its answer may have been lost
    assert (await cloud.ask()).status == 201


async def test_a_connected_number_needs_no_code(cloud: Registering) -> None:
    cloud.simulator.number.registered = True
    assert (await cloud.ask()).status == 201
    assert await cloud.account() is not None
    assert cloud.simulator.numbers.codes(time.monotonic()) == {}


async def test_a_verified_number_is_registered_without_a_code(cloud: Registering) -> None:
    cloud.simulator.number.verified = True
    assert (await cloud.ask()).status == 201
    assert cloud.simulator.number.registered


async def test_the_pin_of_the_client_is_used_and_kept_sealed(
    cloud: Registering, pool: asyncpg.Pool
) -> None:
    cloud.simulator.number.set_pin({"pin": GIVEN})
    await cloud.ask()
    refused = await cloud.verify()
    assert (refused.status, refused.error["code"]) == (400, 1008)  # the drawn one is not it
    wrong = await cloud.ask(pin="000000")
    assert (wrong.status, "pin is wrong" in wrong.error["details"]) == (400, True)
    assert (await cloud.ask(pin=GIVEN)).status == 201
    kept = await pool.fetchval("select value::text from setting where name = $1", PIN)
    assert GIVEN not in kept


async def test_only_the_form_of_a_certificate_is_checked(cloud: Registering) -> None:
    assert (await cloud.ask(cert="no certificate!")).status == 400
    cloud.simulator.number.registered = True
    assert (await cloud.ask()).status == 201
    other = b64encode(b"another one").decode()
    assert (await cloud.ask(cert=other)).status == 201
    assert (await cloud.ask(cert="no certificate!")).status == 400
    shards = {"cc": "49", "phone_number": "301234567", "shards": 2}
    path = "/v1/account/shards"
    assert (await cloud.call("POST", path, shards | {"cert": other})).status == 201
    assert (await cloud.call("POST", path, shards | {"cert": "?"})).status == 400


async def test_two_step_can_be_changed_and_not_turned_off(cloud: Registering) -> None:
    cloud.simulator.number.registered = True
    await cloud.ask()
    assert (await cloud.call("POST", TWO_STEP, {"pin": GIVEN})).status == 200
    refused = await cloud.call("DELETE", TWO_STEP)
    assert (refused.status, refused.error["code"]) == (400, 1009)


async def test_a_number_that_was_deregistered_is_registered_again(
    cloud: Registering, pool: asyncpg.Pool
) -> None:
    """As `warouter cloud deregister` does it, at Meta and here."""
    cloud.simulator.number.registered = True
    assert (await cloud.ask()).status == 201
    cloud.simulator.number.deregister({})
    assert (await cloud.ask()).status == 201  # nobody has told the database
    async with pool.acquire() as connection, connection.transaction():
        assert await unregister(connection, 1) == FACTS.number
        assert await unregister(connection, 1) is None
    assert (await cloud.ask()).status == 202
    assert (await cloud.verify()).status == 201
    assert cloud.simulator.number.registered


async def test_another_number_than_that_of_the_id(cloud: Registering) -> None:
    """It would stand in this cluster's settings, and messages would come from another one."""
    for fields in ({"phone_number": "301234568"}, {"cc": "1"}):
        (await cloud.ask(**fields)).refused(400, 1009, "+49301234567")
    cloud.simulator.number.registered = True
    (await cloud.ask(phone_number="301234568")).refused(400, 1009)
    assert await cloud.account() is None
    assert cloud.simulator.numbers.codes(time.monotonic()) == {}
    assert (await cloud.ask(cc="+49", phone_number="30 123-4567")).status == 201


async def test_a_number_that_meta_spells_otherwise(
    cloud: Registering, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = NumberFields("+52 55 1234 5678", "Bakery", "CONNECTED", verification="VERIFIED")
    monkeypatch.setattr(NumberCalls, "named", AsyncMock(return_value=shown))
    assert (await cloud.ask(cc="52", phone_number="15512345678")).status == 201


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"method": "fax"}, 1009),
        ({"pin": "12345"}, 1009),
        ({"cert": ""}, 1009),
        ({"phone_number": "x"}, 1009),
        ({"cc": None}, 1009),
    ],
)
async def test_bad_registrations_are_refused_before_meta_is_asked(
    cloud: Registering, fields: dict[str, Any], code: int
) -> None:
    (await cloud.ask(**fields)).refused(400, code)
    assert cloud.simulator.numbers.codes(time.monotonic()) == {}


async def test_a_voice_call_brings_the_code(cloud: Registering) -> None:
    assert (await cloud.ask(method="voice")).status == 202
    assert cloud.simulator.numbers.codes(time.monotonic())[FACTS.number]["method"] == "voice"


async def test_codes_that_are_wrong_missing_or_too_many(cloud: Registering) -> None:
    (await cloud.verify("999999")).refused(404, 1006)  # none was asked for
    for _ in range(CODES):
        assert (await cloud.ask()).status == 202
    refused = await cloud.ask()
    refused.refused(429, 1015)
    assert int(refused.headers["Retry-After"]) > 0
    for code in ("12345", "12345x", "1234567"):
        (await cloud.verify(code)).refused(400, 1009, "6 digits")
    sent = str(cloud.simulator.numbers.codes(time.monotonic())[FACTS.number]["code"])
    for n in range(CODE_TRIES):
        (await cloud.verify(f"{(int(sent) + 1 + n) % 10**6:06d}")).refused(400, 1009, "code")
    # By now the right one is refused as well, in Meta's words.
    (await cloud.verify()).refused(400, 1009, "too often")
    assert await cloud.account() is None


async def test_a_pin_that_is_guessed_too_often_rests(cloud: Registering) -> None:
    cloud.simulator.number.set_pin({"pin": GIVEN})
    cloud.simulator.number.verified = True
    for n in range(5):
        (await cloud.ask(pin=f"{n:06d}")).refused(400, 1009, "pin is wrong")
    refused = await cloud.ask(pin=GIVEN)
    refused.refused(429, 1015)
    assert int(refused.headers["Retry-After"]) > 0
    assert await cloud.account() is None


async def test_a_number_is_registered_ten_times_at_most(cloud: Registering) -> None:
    cloud.simulator.number.verified = True
    for _ in range(10):
        cloud.simulator.number.register({"messaging_product": "whatsapp", "pin": GIVEN})
    cloud.simulator.number.registered = False
    refused = await cloud.ask(pin=GIVEN)
    refused.refused(429, 1015)
    assert int(refused.headers["Retry-After"]) >= 3600


async def test_a_token_that_is_dead_is_the_operators_matter(cloud: Registering) -> None:
    cloud.simulator.use(CloudFaults().changed({"no_token": True}))
    (await cloud.ask()).refused(503, 1011)
    assert await cloud.account() is None
    cloud.simulator.use(CloudFaults())
    assert (await cloud.ask()).status == 202


async def test_two_step_from_the_first_pin_to_another(cloud: Registering) -> None:
    """Meta registers with the pin that was set last, and so does whoever registers it anew."""
    (await cloud.call("POST", TWO_STEP, {"pin": GIVEN})).refused(404, 1006)  # no number yet
    (await cloud.call("DELETE", TWO_STEP)).refused(404, 1006)
    cloud.simulator.number.registered = True
    await cloud.ask()
    for pin in ("12345", "1234567", "12345x", ""):
        (await cloud.call("POST", TWO_STEP, {"pin": pin})).refused(400, 1009)
    (await cloud.call("POST", TWO_STEP, {})).refused(400, 1008)
    for pin in ("112233", GIVEN):
        (await cloud.call("POST", TWO_STEP, {"pin": pin})).done()
        account = await cloud.account()
        assert account is not None
        assert account.pin_hash is not None
    (await cloud.call("DELETE", TWO_STEP)).refused(400, 1009, "cannot turn")
    account = await cloud.account()
    assert account is not None
    assert account.pin_hash is not None  # it is on at Meta, and so it is here
    cloud.simulator.number.deregister({})
    with pytest.raises(GraphError):
        cloud.simulator.number.register({"messaging_product": "whatsapp", "pin": "112233"})


async def test_a_graph_api_that_is_away_is_no_answer(cloud: Registering) -> None:
    await cloud.simulator.stop()
    assert (await cloud.ask()).status == 503
    assert await cloud.account() is None


async def test_a_graph_api_that_goes_away_later_is_none_either(cloud: Registering) -> None:
    """What was begun goes on once it is back: the code is still good."""
    assert (await cloud.ask(pin=GIVEN)).status == 202
    await cloud.cut_off()
    away = await cloud.verify()
    away.refused(503, 1011)
    assert int(away.headers["Retry-After"]) > 0
    assert await cloud.account() is None
    cloud.simulator.use(CloudFaults())
    assert (await cloud.verify()).status == 201
    account = await cloud.account()
    assert account is not None
    assert account.pin_hash is not None
    await cloud.cut_off()
    (await cloud.call("POST", TWO_STEP, {"pin": "112233"})).refused(503, 1011)
    kept = await cloud.account()
    assert kept is not None
    assert kept.pin_hash == account.pin_hash
