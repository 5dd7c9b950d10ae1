"""POST /v1/account and /verify, and two-step, against the simulator as the authority."""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple

import aiohttp
import asyncpg
import msgspec
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.harness.api import Answer, Api, Webapp
from tests.harness.receiver import Receiver, Reply
from warouter.api.account.registration import OnceRegistered
from warouter.errors import NotReady
from warouter.lab.simulator.number_authority import CODE_TRIES, CODES, PIN_TRIES
from warouter.lab.simulator.server import Simulator
from warouter.link.wire import Outgoing
from warouter.store.account.accounts import Account
from warouter.store.account.registration import Registrations
from warouter.upstream.authority import NumberCertificate, issue, public_bytes

CC, PHONE = "49", "301234567"
NUMBER = CC + PHONE
TWO_STEP = "/v1/settings/account/two-step"
PIN = "908172"


class Registering(NamedTuple):
    """An API whose authority is a simulator."""

    api: Api
    simulator: Simulator
    url: str

    def certificate(self, number: str = NUMBER, days: int = 1) -> str:
        now = int(time.time())
        known = NumberCertificate(number, "Bäckerei", now - 86400 * 10, now + days * 86400)
        return issue(self.simulator.key, known)

    async def call(self, method: str, path: str, body: object = None) -> Answer:
        return await self.api.call(method, path, body, token=self.api.admin)

    async def ask(self, **fields: Any) -> Answer:
        body = {"cc": CC, "phone_number": PHONE, "method": "sms", "cert": self.certificate()}
        return await self.call("POST", "/v1/account", body | fields)

    async def verify(self, code: str) -> Answer:
        return await self.call("POST", "/v1/account/verify", {"code": code})

    @property
    def code(self) -> str:
        """As the phone shows it."""
        return str(self.simulator.numbers.codes(time.monotonic())[NUMBER]["code"])

    async def two_step(self, pin: object) -> Answer:
        return await self.call("POST", TWO_STEP, {"pin": pin})

    async def set_shards(self, **fields: Any) -> Answer:
        wish = {"cc": CC, "phone_number": PHONE, "shards": 2}
        return await self.call("POST", "/v1/account/shards", wish | fields)

    async def register(self) -> None:
        assert (await self.ask()).status == 202
        assert (await self.verify(self.code)).status == 201

    async def account(self) -> Account:
        """What is registered."""
        account = await self.api.context.accounts.account(1)
        assert account is not None
        return account


async def everything(pool: asyncpg.Pool) -> str:
    tables = ("account", "registration", "setting", "user_account", "token")
    return str([await pool.fetch(f"select * from {table}") for table in tables])


@pytest_asyncio.fixture
async def reg(webapp: Webapp, simulator: Simulator, services_url: str) -> Registering:
    return Registering(await webapp(services_url=services_url), simulator, services_url)


async def test_a_number_from_nothing_to_registered(reg: Registering) -> None:
    asked = await reg.ask()
    assert asked.status == 202
    assert asked.json["account"] == [{"vname": "Bäckerei"}]
    assert "errors" not in asked.json
    assert await reg.api.context.accounts.account(1) is None
    (await reg.verify(reg.code)).done(201)
    account = await reg.account()
    assert (account.cc, account.phone_number, account.pin_hash) == (CC, PHONE, None)
    assert account.authority_key == public_bytes(reg.simulator.key)
    assert account.registered_seconds_ago < 60
    assert (await reg.ask()).status == 201
    shown = await reg.call("GET", "/v1/settings/application")
    assert shown.json["settings"]["application"]["wa_id"] == NUMBER
    assert (await reg.set_shards(shards=4, cert=account.cert)).status == 201


async def test_another_webapp_hears_the_code(reg: Registering, webapp: Webapp) -> None:
    await reg.ask(method="voice")
    other = Registering(await webapp(services_url=reg.url), reg.simulator, reg.url)
    assert (await other.verify(reg.code)).status == 201
    assert (await reg.ask()).status == 201


async def test_a_verification_whose_answer_was_lost_is_repeated(reg: Registering) -> None:
    await reg.ask()
    answers = await asyncio.gather(*(reg.verify(reg.code) for _ in range(5)))
    assert [a.status for a in answers] == [201] * 5
    assert (await reg.verify(f"{reg.code[:3]}-{reg.code[3:]}")).status == 201


async def test_spellings_of_the_number(reg: Registering) -> None:
    assert (await reg.ask(cc="+49", phone_number="(30) 123-4567")).status == 202
    assert (await reg.verify(reg.code)).status == 201
    assert (await reg.ask(cc="+49", phone_number="30 1234567")).status == 201


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"cc": None}, 1009),
        ({"cc": ""}, 1009),
        ({"cc": "049"}, 1009),
        ({"cc": "1234"}, 1009),
        ({"cc": "four"}, 1009),
        ({"cc": "٤٩"}, 1009),
        ({"phone_number": ""}, 1009),
        ({"phone_number": "1"}, 1009),
        ({"phone_number": "1" * 20}, 1009),
        ({"method": "pigeon"}, 1009),
        ({"cert": ""}, 1009),
        ({"cert": "nonsense"}, 1009),
        ({"cert": "x" * 9000}, 1009),
        ({"pin": "12345"}, 1009),
        ({"pin": "12345x"}, 1009),
        ({"pin": 123456}, 1009),
        ({"phone_number": "301234568"}, 1009),  # the certificate was issued for another number
    ],
)
async def test_a_refused_registration_changes_nothing(
    reg: Registering, pool: asyncpg.Pool, fields: dict[str, Any], code: int
) -> None:
    before = await everything(pool)
    (await reg.ask(**fields)).refused(400, code)
    assert await everything(pool) == before
    assert reg.simulator.numbers.codes(time.monotonic()) == {}


@pytest.mark.parametrize("missing", ["cc", "phone_number", "method", "cert"])
async def test_required_fields_are_named(reg: Registering, missing: str) -> None:
    body = {"cc": CC, "phone_number": PHONE, "method": "sms", "cert": reg.certificate()}
    del body[missing]
    (await reg.call("POST", "/v1/account", body)).refused(400, 1008)


async def test_certificates_that_are_refused(reg: Registering, pool: asyncpg.Pool) -> None:
    now = int(time.time())
    foreign = issue(Ed25519PrivateKey.generate(), NumberCertificate(NUMBER, "x", now, now + 999))
    for cert in (foreign, reg.certificate(days=-1), reg.certificate()[:-8]):
        answer = await reg.ask(cert=cert)
        answer.refused(400, 1009)
        assert answer.error["details"].startswith("cert is not valid: ")
    assert await pool.fetchval("select count(*) from registration") == 0


async def test_codes_that_are_wrong_or_too_many(reg: Registering, pool: asyncpg.Pool) -> None:
    assert ((await reg.verify("123456")).status, (await reg.verify("123456")).code) == (404, 1006)
    await reg.ask()
    right = reg.code
    for code in ("", "12345", "1234567", "abcdef", "١٢٣٤٥٦"):
        (await reg.verify(code)).refused(400, 1009)
    wrong = "000000" if right != "000000" else "111111"
    for _ in range(CODE_TRIES):
        assert (await reg.verify(wrong)).error["details"] == "code is not valid: the code is wrong"
    assert "too often" in (await reg.verify(right)).error["details"]
    assert await reg.api.context.accounts.account(1) is None
    for _ in range(CODES - 1):
        assert (await reg.ask()).status == 202
    answer = await reg.ask()
    answer.refused(429, 1015)
    assert 500 < int(answer.headers["Retry-After"]) <= 600
    assert (await reg.verify(reg.code)).status == 201


async def test_a_code_that_has_expired(reg: Registering) -> None:
    await reg.ask()
    code = reg.code
    reg.simulator.numbers._numbers[NUMBER].ends = time.monotonic()
    (await reg.verify(code)).refused(400, 1009, "expired")


async def test_with_two_step_the_pin_is_required(reg: Registering, pool: asyncpg.Pool) -> None:
    reg.simulator.numbers.set_pin(NUMBER, PIN)
    for pin in (None, ""):
        (await reg.ask(pin=pin)).refused(400, 1008)
    assert (await reg.ask(pin="654321")).error["details"] == "pin is wrong"
    assert await pool.fetchval("select count(*) from registration") == 0
    assert (await reg.ask(pin=PIN)).status == 202
    assert (await reg.verify(reg.code)).status == 201
    # It is the pin of this cluster now, too.
    (await reg.set_shards()).refused(400, 1008)
    assert (await reg.set_shards(pin=PIN)).status == 201
    assert PIN not in await everything(pool)


async def test_a_pin_guessed_at_the_authority_waits(reg: Registering) -> None:
    reg.simulator.numbers.set_pin(NUMBER, PIN)
    for _ in range(PIN_TRIES):
        assert (await reg.ask(pin="654321")).code == 1009
    answer = await reg.ask(pin=PIN)
    answer.refused(429, 1015)
    assert int(answer.headers["Retry-After"]) > 800


async def test_a_pin_set_while_another_is_set_is_to_be_repeated(
    reg: Registering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the authority could end with the one, and the cluster with the other."""
    await reg.register()
    authority = reg.api.context.authority(1)
    set_pin, other = authority.set_pin, "654321"

    async def overtaken(cert: str, pin: str | None) -> None:
        await set_pin(cert, pin)
        if pin == PIN:
            assert (await reg.two_step(other)).status == 200

    monkeypatch.setattr(authority, "set_pin", overtaken)
    (await reg.two_step(PIN)).refused(503, 1011, "repeat")
    assert (await reg.set_shards(pin=other)).status == 201
    monkeypatch.undo()
    assert (await reg.two_step(PIN)).status == 200
    assert (await reg.set_shards(pin=PIN)).status == 201


async def test_a_certificate_of_a_number_that_was_replaced_meanwhile_is_not_kept(
    reg: Registering,
) -> None:
    await reg.register()
    account = await reg.account()
    gone = msgspec.structs.replace(account, phone_number="301234568")
    assert not await reg.api.context.accounts.set_certificate(1, "another", gone)
    assert (await reg.account()).cert == account.cert


async def test_a_pin_without_two_step_is_not_kept(reg: Registering) -> None:
    await reg.ask(pin=PIN)
    await reg.verify(reg.code)
    assert (await reg.account()).pin_hash is None


async def test_another_number_is_refused_where_one_is_registered(
    reg: Registering, pool: asyncpg.Pool
) -> None:
    await reg.register()
    before = await everything(pool)
    other = await reg.ask(phone_number="301234568", cert=reg.certificate("49301234568"))
    other.refused(409, 1004)
    assert await everything(pool) == before


async def test_two_numbers_at_a_time_the_first_one_stays(reg: Registering) -> None:
    await reg.ask()
    first = reg.code
    pending = await reg.api.context.registrations.pending(1)
    assert pending is not None
    other = reg.certificate("49301234568")
    assert (await reg.ask(phone_number="301234568", cert=other)).status == 202
    assert (await reg.verify(first)).status == 400  # the last one asked for is meant
    await reg.ask()
    await reg.verify(reg.code)
    registrations = reg.api.context.registrations
    late = type(pending)(CC, "301234568", other, None)
    assert await registrations.complete(1, late, bytes(32), two_step=False) is False
    assert (await reg.account()).phone_number == PHONE


async def test_a_newer_certificate_is_kept(reg: Registering) -> None:
    await reg.register()
    newer = reg.certificate(days=300)
    assert (await reg.ask(cert=newer)).status == 201
    assert (await reg.account()).cert == newer
    assert (await reg.ask(cert=reg.certificate(days=-1))).code == 1009
    assert (await reg.account()).cert == newer


async def test_an_authority_that_is_away_or_mad(
    webapp: Webapp, simulator: Simulator, pool: asyncpg.Pool
) -> None:
    answer = await Registering(await webapp(), simulator, "").ask()
    answer.refused(503, 1011)
    assert answer.headers["Retry-After"] == "5"
    async with Receiver() as mad:
        url = f"http://{mad.host}:{mad.port}"
        reg = Registering(await webapp(services_url=url), simulator, url)
        for text, status in (
            ("", 200),
            ("[]", 200),
            ('{"vname":5}', 202),
            ("<html>", 502),
            ('{"reason":1}', 400),
            ("x" * 100_000, 200),
            ("[" * 50_000, 200),
        ):
            mad.answer = Reply(status, body=text.encode())
            (await reg.ask()).refused(503, 1011)
        mad.answer = Reply(400, body=b'{"reason":"moon","error":"full"}')
        (await reg.ask()).refused(400, 1009)
        assert await pool.fetchval("select count(*) from registration") == 0


async def test_messages_before_registration_are_refused_and_kept_by_the_sender(
    reg: Registering, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = reg.api.recorder.submitted
    submit = OnceRegistered(Registrations(pool), reg.api.recorder).submit
    message = Outgoing(1, b"x" * 20, "491511234567", 0, b"{}")
    for _ in range(2):
        with pytest.raises(NotReady) as caught:
            await submit(message)
        assert (caught.value.status, caught.value.code) == (503, 1011)
        assert caught.value.retry_after == 5
    assert submitted == []
    await reg.register()
    asked = []
    is_registered = Registrations.is_registered

    async def counted(registrations: Registrations, number: int) -> bool:
        asked.append(number)
        return await is_registered(registrations, number)

    monkeypatch.setattr(Registrations, "is_registered", counted)
    await asyncio.gather(*(submit(message) for _ in range(100)))
    assert asked == [1]  # by all of them
    pool.terminate()  # it is not asked again
    await submit(message)
    assert len(submitted) == 101


async def test_the_authority_s_own_bodies(reg: Registering) -> None:
    async with aiohttp.ClientSession(reg.url) as http:
        for method, path, body in (
            ("POST", "/registration/code", "{"),
            ("POST", "/registration/code", '{"cert":"x","method":"sms"}'),
            ("PUT", "/registration/two-step", f'{{"cert":"{reg.certificate()}","pin":"1"}}'),
        ):
            async with http.request(method, path, data=body) as answer:
                assert answer.status == 400
                assert (await answer.json())["reason"] == "body"


@pytest.mark.usefixtures("full_cost")
async def test_two_step_from_on_to_off(reg: Registering, pool: asyncpg.Pool) -> None:
    await reg.register()
    (await reg.two_step(PIN)).done()
    assert str((await reg.account()).pin_hash).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PIN not in await everything(pool)
    assert (await reg.set_shards()).code == 1008
    assert (await reg.set_shards(pin="654321")).code == 1009
    assert (await reg.set_shards(pin=PIN)).status == 201
    # The authority asks for it at the next registration of the number, wherever that is.
    await pool.execute("delete from account")
    assert (await reg.ask()).code == 1008
    assert (await reg.ask(pin=PIN)).status == 202
    assert (await reg.verify(reg.code)).status == 201

    assert (await reg.two_step("112233")).status == 200  # another pin, without the old one
    assert (await reg.set_shards(pin=PIN)).code == 1009
    assert (await reg.set_shards(pin="112233")).status == 201
    for _ in range(2):
        (await reg.call("DELETE", TWO_STEP)).done()
    assert (await reg.set_shards()).status == 201
    await pool.execute("delete from account")
    assert (await reg.ask()).status == 202


@pytest.mark.parametrize("pin", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", 123456, None, [1]])
async def test_pins_that_are_refused(reg: Registering, pin: object) -> None:
    await reg.register()
    (await reg.two_step(pin)).refused(400, 1009)
    assert (await reg.account()).pin_hash is None


async def test_two_step_before_registration(reg: Registering) -> None:
    (await reg.two_step(PIN)).refused(404, 1006)
    assert (await reg.call("DELETE", TWO_STEP)).status == 404


async def test_two_step_while_the_authority_is_away_changes_nothing(
    reg: Registering, pool: asyncpg.Pool
) -> None:
    await reg.register()
    await reg.two_step(PIN)
    before = await everything(pool)
    await reg.simulator.stop()
    (await reg.two_step("112233")).refused(503, 1011)
    assert (await reg.call("DELETE", TWO_STEP)).status == 503
    assert await everything(pool) == before
    assert (await reg.set_shards(pin=PIN)).status == 201
