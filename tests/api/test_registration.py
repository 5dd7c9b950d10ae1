"""POST /v1/account and /verify, and two-step, against the simulator as the authority."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import asyncpg
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.api.conftest import CONFIG, Answer, Api, serve
from tests.harness.receiver import Receiver, Reply
from warouter.api.account.registration import OnceRegistered
from warouter.errors import NotReady
from warouter.link.wire import Outgoing
from warouter.simulator.numbers import CODE_TRIES, CODES, PIN_TRIES
from warouter.simulator.server import Simulator
from warouter.store.account.registration import Registrations
from warouter.upstream.authority import Certificate, issue, public_bytes

CC, PHONE = "49", "301234567"
NUMBER = CC + PHONE
PIN = "908172"


class Registering:
    """An API whose authority is a simulator."""

    def __init__(self, api: Api, simulator: Simulator, url: str) -> None:
        self.api = api
        self.simulator = simulator
        self.url = url

    def certificate(self, number: str = NUMBER, days: int = 1) -> str:
        now = int(time.time())
        known = Certificate(number, "Bäckerei", now - 86400 * 10, now + days * 86400)
        return issue(self.simulator.key, known)

    async def ask(self, **fields: Any) -> Answer:
        body = {"cc": CC, "phone_number": PHONE, "method": "sms", "cert": self.certificate()}
        return await self.api.call("POST", "/v1/account", body | fields, token=self.api.admin)

    async def verify(self, code: str) -> Answer:
        return await self.api.call(
            "POST", "/v1/account/verify", {"code": code}, token=self.api.admin
        )

    @property
    def code(self) -> str:
        """As the phone shows it."""
        return str(self.simulator.numbers.codes(time.monotonic())[NUMBER]["code"])

    async def two_step(self, pin: object) -> Answer:
        path = "/v1/settings/account/two-step"
        return await self.api.call("POST", path, {"pin": pin}, token=self.api.admin)

    async def set_shards(self, **fields: Any) -> Answer:
        wish = {"cc": CC, "phone_number": PHONE, "shards": 2}
        return await self.api.call(
            "POST", "/v1/account/shards", wish | fields, token=self.api.admin
        )

    async def register(self) -> None:
        assert (await self.ask()).status == 202
        assert (await self.verify(self.code)).status == 201


async def everything(pool: asyncpg.Pool) -> str:
    tables = ("account", "registration", "setting", "user_account", "token")
    return str([await pool.fetch(f"select * from {table}") for table in tables])


@pytest_asyncio.fixture
async def reg(api: Api, pool: asyncpg.Pool, authority: Simulator) -> AsyncIterator[Registering]:
    assert authority._services is not None
    url = "http://{}:{}".format(*authority._services.addresses[0][:2])
    serving = await serve(pool, CONFIG, services_url=url)
    serving.admin, serving.user = api.admin, api.user
    yield Registering(serving, authority, url)
    await serving.client.close()


async def test_a_number_from_nothing_to_registered(reg: Registering) -> None:
    asked = await reg.ask()
    assert asked.status == 202
    assert asked.json["account"] == [{"vname": "Bäckerei"}]
    assert "errors" not in asked.json
    assert await reg.api.context.accounts.account() is None
    verified = await reg.verify(reg.code)
    assert verified.status == 201
    assert set(verified.json) == {"meta"}
    account = await reg.api.context.accounts.account()
    assert account is not None
    assert (account.cc, account.phone_number, account.pin_hash) == (CC, PHONE, None)
    assert account.authority_key == public_bytes(reg.simulator.key)
    assert account.registered_seconds_ago < 60
    assert (await reg.ask()).status == 201
    shown = await reg.api.call("GET", "/v1/settings/application", token=reg.api.admin)
    assert shown.json["settings"]["application"]["wa_id"] == NUMBER
    body = {"cc": CC, "phone_number": PHONE, "shards": 4, "cert": account.cert}
    shards = await reg.api.call("POST", "/v1/account/shards", body, token=reg.api.admin)
    assert shards.status == 201


async def test_another_webapp_hears_the_code(reg: Registering, pool: asyncpg.Pool) -> None:
    await reg.ask(method="voice")
    other = await serve(pool, CONFIG, services_url=reg.url)
    try:
        body = {"code": reg.code}
        answer = await other.call("POST", "/v1/account/verify/", body, token=reg.api.admin)
        assert answer.status == 201
    finally:
        await other.client.close()
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
async def test_what_is_refused_changes_nothing(
    reg: Registering, pool: asyncpg.Pool, fields: dict[str, Any], code: int
) -> None:
    before = await everything(pool)
    answer = await reg.ask(**fields)
    assert (answer.status, answer.code) == (400, code)
    assert await everything(pool) == before
    assert reg.simulator.numbers.codes(time.monotonic()) == {}


@pytest.mark.parametrize("missing", ["cc", "phone_number", "method", "cert"])
async def test_what_is_required(reg: Registering, missing: str) -> None:
    body = {"cc": CC, "phone_number": PHONE, "method": "sms", "cert": reg.certificate()}
    del body[missing]
    answer = await reg.api.call("POST", "/v1/account", body, token=reg.api.admin)
    assert (answer.status, answer.code) == (400, 1008)


async def test_certificates_that_are_refused(reg: Registering, pool: asyncpg.Pool) -> None:
    now = int(time.time())
    foreign = issue(Ed25519PrivateKey.generate(), Certificate(NUMBER, "x", now, now + 999))
    for cert in (foreign, reg.certificate(days=-1), reg.certificate()[:-8]):
        answer = await reg.ask(cert=cert)
        assert (answer.status, answer.code) == (400, 1009)
        assert answer.error["details"].startswith("cert is not valid: ")
    assert await pool.fetchval("select count(*) from registration") == 0


async def test_codes_that_are_wrong_or_too_many(reg: Registering, pool: asyncpg.Pool) -> None:
    assert ((await reg.verify("123456")).status, (await reg.verify("123456")).code) == (404, 1006)
    await reg.ask()
    right = reg.code
    for code in ("", "12345", "1234567", "abcdef", "١٢٣٤٥٦"):
        answer = await reg.verify(code)
        assert (answer.status, answer.code) == (400, 1009)
    wrong = "000000" if right != "000000" else "111111"
    for _ in range(CODE_TRIES):
        assert (await reg.verify(wrong)).error["details"] == "code is not valid: the code is wrong"
    assert "too often" in (await reg.verify(right)).error["details"]
    assert await reg.api.context.accounts.account() is None
    for _ in range(CODES - 1):
        assert (await reg.ask()).status == 202
    answer = await reg.ask()
    assert (answer.status, answer.code) == (429, 1015)
    assert 500 < int(answer.headers["Retry-After"]) <= 600
    assert (await reg.verify(reg.code)).status == 201


async def test_a_code_that_has_expired(reg: Registering) -> None:
    await reg.ask()
    code = reg.code
    reg.simulator.numbers._numbers[NUMBER].ends = time.monotonic()
    answer = await reg.verify(code)
    assert (answer.status, answer.code) == (400, 1009)
    assert "expired" in answer.error["details"]


async def test_with_two_step_the_pin_is_required(reg: Registering, pool: asyncpg.Pool) -> None:
    reg.simulator.numbers.set_pin(NUMBER, PIN)
    for pin in (None, ""):
        answer = await reg.ask(pin=pin)
        assert (answer.status, answer.code) == (400, 1008)
    assert (await reg.ask(pin="654321")).error["details"] == "pin is wrong"
    assert await pool.fetchval("select count(*) from registration") == 0
    assert (await reg.ask(pin=PIN)).status == 202
    assert (await reg.verify(reg.code)).status == 201
    # It is the pin of this cluster now, too.
    answer = await reg.set_shards()
    assert (answer.status, answer.code) == (400, 1008)
    assert (await reg.set_shards(pin=PIN)).status == 201
    assert PIN not in await everything(pool)


async def test_a_pin_guessed_at_the_authority_waits(reg: Registering) -> None:
    reg.simulator.numbers.set_pin(NUMBER, PIN)
    for _ in range(PIN_TRIES):
        assert (await reg.ask(pin="654321")).code == 1009
    answer = await reg.ask(pin=PIN)
    assert (answer.status, answer.code) == (429, 1015)
    assert int(answer.headers["Retry-After"]) > 800


async def test_a_pin_without_two_step_is_not_kept(reg: Registering) -> None:
    await reg.ask(pin=PIN)
    await reg.verify(reg.code)
    account = await reg.api.context.accounts.account()
    assert account is not None
    assert account.pin_hash is None


async def test_another_number_is_refused_where_one_is_registered(
    reg: Registering, pool: asyncpg.Pool
) -> None:
    await reg.register()
    before = await everything(pool)
    answer = await reg.ask(phone_number="301234568", cert=reg.certificate("49301234568"))
    assert (answer.status, answer.code) == (409, 1004)
    assert await everything(pool) == before


async def test_two_numbers_at_a_time_the_first_one_stays(reg: Registering) -> None:
    await reg.ask()
    first = reg.code
    pending = await reg.api.context.registrations.pending()
    assert pending is not None
    other = reg.certificate("49301234568")
    assert (await reg.ask(phone_number="301234568", cert=other)).status == 202
    assert (await reg.verify(first)).status == 400  # the last one asked for is meant
    await reg.ask()
    await reg.verify(reg.code)
    registrations = reg.api.context.registrations
    late = type(pending)(CC, "301234568", other, None)
    assert await registrations.complete(late, bytes(32), two_step=False) is False
    account = await reg.api.context.accounts.account()
    assert account is not None
    assert account.phone_number == PHONE


async def test_a_newer_certificate_is_kept(reg: Registering) -> None:
    await reg.register()
    newer = reg.certificate(days=300)
    assert (await reg.ask(cert=newer)).status == 201
    account = await reg.api.context.accounts.account()
    assert account is not None
    assert account.cert == newer
    assert (await reg.ask(cert=reg.certificate(days=-1))).code == 1009
    assert (await reg.api.context.accounts.account()).cert == newer  # type: ignore[union-attr]


async def test_an_authority_that_is_away_or_mad(api: Api, pool: asyncpg.Pool) -> None:
    body = {"cc": CC, "phone_number": PHONE, "method": "sms", "cert": "x"}
    answer = await api.call("POST", "/v1/account", body, token=api.admin)
    assert (answer.status, answer.code) == (503, 1011)
    assert answer.headers["Retry-After"] == "5"
    async with Receiver() as mad:
        mad_api = await serve(pool, CONFIG, services_url=f"http://{mad.host}:{mad.port}")
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
            answer = await mad_api.call("POST", "/v1/account", body, token=api.admin)
            assert (answer.status, answer.code) == (503, 1011), text[:20]
        mad.answer = Reply(400, body=b'{"reason":"moon","error":"full"}')
        answer = await mad_api.call("POST", "/v1/account", body, token=api.admin)
        assert (answer.status, answer.code) == (400, 1009)
        assert await pool.fetchval("select count(*) from registration") == 0
        await mad_api.client.close()


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

    async def counted(registrations: Registrations) -> bool:
        asked.append(registrations)
        return await is_registered(registrations)

    monkeypatch.setattr(Registrations, "is_registered", counted)
    await asyncio.gather(*(submit(message) for _ in range(100)))
    assert len(asked) == 1  # by all of them
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


async def test_two_step_from_on_to_off(reg: Registering, pool: asyncpg.Pool) -> None:
    await reg.register()
    answer = await reg.two_step(PIN)
    assert answer.status == 200
    assert set(answer.json) == {"meta"}
    account = await reg.api.context.accounts.account()
    assert account is not None
    assert account.pin_hash is not None
    assert account.pin_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
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
    path = "/v1/settings/account/two-step"
    for _ in range(2):
        off = await reg.api.call("DELETE", path, token=reg.api.admin)
        assert off.status == 200
        assert set(off.json) == {"meta"}
    assert (await reg.set_shards()).status == 201
    await pool.execute("delete from account")
    assert (await reg.ask()).status == 202


@pytest.mark.parametrize("pin", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", 123456, None, [1]])
async def test_pins_that_are_refused(reg: Registering, pin: object) -> None:
    await reg.register()
    answer = await reg.two_step(pin)
    assert (answer.status, answer.code) == (400, 1009)
    account = await reg.api.context.accounts.account()
    assert account is not None
    assert account.pin_hash is None


async def test_two_step_before_registration(reg: Registering) -> None:
    answer = await reg.two_step(PIN)
    assert (answer.status, answer.code) == (404, 1006)
    path = "/v1/settings/account/two-step"
    assert (await reg.api.call("DELETE", path, token=reg.api.admin)).status == 404


async def test_two_step_while_the_authority_is_away_changes_nothing(
    reg: Registering, pool: asyncpg.Pool
) -> None:
    await reg.register()
    await reg.two_step(PIN)
    before = await everything(pool)
    await reg.simulator.stop()
    answer = await reg.two_step("112233")
    assert (answer.status, answer.code) == (503, 1011)
    path = "/v1/settings/account/two-step"
    assert (await reg.api.call("DELETE", path, token=reg.api.admin)).status == 503
    assert await everything(pool) == before
    assert (await reg.set_shards(pin=PIN)).status == 201
