"""The application on a real PostgreSQL, and a client; what lies behind ``submit`` is a recorder."""

from __future__ import annotations

import atexit
import ipaddress
import shutil
import tempfile
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import msgspec
from aiohttp import TCPConnector
from aiohttp.test_utils import TestClient, TestServer
from argon2 import PasswordHasher

from tests.harness.answer import Answer
from tests.harness.described import check_answer
from tests.harness.wait import PATIENCE
from warouter.access.key import SHOWN_CHARS, new_key
from warouter.access.scopes import Scope
from warouter.access.token import hash_of, new_token
from warouter.api.access.tokens import TokenCache
from warouter.api.app import build_app
from warouter.api.configs.template_list import TemplateList
from warouter.api.contacts.cloud_contacts import IdentityCheck
from warouter.api.context import ApiConfig, Context, HealthReport, NodeState
from warouter.api.profile.local import LocalProfile
from warouter.api.profile.port import ProfileStore
from warouter.http.meter import Meter
from warouter.link.wire import Outgoing
from warouter.media.directory import MediaDirectory
from warouter.media.library import Library
from warouter.media.received import Received
from warouter.node.context import assemble, operations_of
from warouter.store.account.accounts import Accounts
from warouter.store.account.keys import Keys, NewKey
from warouter.store.account.photo import Photos
from warouter.store.audit import Audit
from warouter.store.media import through_pool
from warouter.store.views.number_status import NumberFacts
from warouter.store.views.trace import Trace, read_trace
from warouter.upstream.media_service import MediaService
from warouter.upstream.number_services import NumberDirectory
from warouter.upstream.number_services import NumberLookup as Numbers
from warouter.upstream.registration import Authority, Registrar

T = TypeVar("T")

API_KEY = "0123456789abcdef"
MEDIA_DIR = Path(tempfile.mkdtemp(prefix="warouter-media-"))
atexit.register(shutil.rmtree, MEDIA_DIR, ignore_errors=True)
ADMIN_PASSWORD = "Adm1n!passw"
USER_PASSWORD = "Us3r!passw0rd"
# What passwords cost in this process; another one would renew such a hash at a log-in.
CHEAP = PasswordHasher(time_cost=1, memory_cost=32, parallelism=1)
ADMIN_HASH, USER_HASH = CHEAP.hash(ADMIN_PASSWORD), CHEAP.hash(USER_PASSWORD)
# Of USER_PASSWORD, as processes make it.
FULL_USER_HASH = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(USER_PASSWORD)
LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
CONFIG = ApiConfig(api_keys=lambda: (API_KEY,), allow_private=(LOOPBACK,))
BEHIND_PROXY = {"trusted_proxies": (LOOPBACK,)}


@dataclass
class Recorder:
    """Stands where the rest of the webapp is; ``refuse`` is raised instead of taking a message."""

    pool: asyncpg.Pool
    submitted: list[Outgoing] = field(default_factory=list)
    inbound: dict[str, str] = field(default_factory=dict)
    nodes: list[NodeState] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    number: NumberFacts | None = None
    warnings: list[str] = field(default_factory=list)
    shard_count: int = 1
    served_chain: str = ""
    refuse: Exception | None = None
    known_as: bytes | None = None  # the id of a request that came before

    async def submit(self, message: Outgoing) -> bytes:
        if self.refuse is not None:
            raise self.refuse
        self.submitted.append(message)
        return self.known_as or message.id

    async def shards(self) -> int:
        return self.shard_count

    async def set_shards(self, shards: int) -> list[str]:
        if self.refuse is not None:
            raise self.refuse
        self.shard_count = shards
        return self.warnings

    async def health(self, _number: int) -> HealthReport:
        return HealthReport(self.nodes, self.notes, self.number)

    async def find_inbound(self, message_id: str, number: int) -> str | None:
        return self.inbound.get(message_id) if number == 1 else None

    async def trace(self, message_id: str, number: int) -> Trace | None:
        async with self.pool.acquire() as connection:
            return await read_trace(connection, message_id, number)


class Api:
    """A client of one application."""

    def __init__(self, client: TestClient[Any, Any], context: Context, recorder: Recorder) -> None:
        self.client = client
        self.context = context
        self.recorder = recorder
        self.admin = ""
        self.user = ""

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        data: Any = None,
    ) -> Answer:
        """Send ``body`` as JSON or ``data`` as it is, with the token as Bearer.

        Every answer is held against the description.
        """
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            data = msgspec.json.encode(body)
        async with self.client.request(
            method, path, data=data, headers=sent, allow_redirects=False
        ) as response:
            answer = Answer(response.status, response.headers, await response.read())
        check_answer(method, path, answer.status, answer.headers, answer.body)
        assert b"$argon2" not in answer.body
        return answer

    async def send(self, body: object = None, **options: Any) -> Answer:
        """POST /v1/messages as the user."""
        return await self.call("POST", "/v1/messages", body, token=self.user, **options)

    async def login(
        self, username: str, password: str, body: object = None, *, source: str | None = None
    ) -> Answer:
        """``source`` is what a proxy says of where the client is."""
        headers = {"Authorization": basic(username, password)}
        if source is not None:
            headers["X-Forwarded-For"] = source
        return await self.call("POST", "/v1/users/login", body, headers=headers)

    async def token_of(self, username: str, password: str, body: object = None) -> str:
        answer = await self.login(username, password, body)
        assert answer.status == 200, answer.body
        token: str = answer.json["users"][0]["token"]
        return token


def by_number(part: T) -> Callable[[int], T]:
    """One part for all numbers."""
    return lambda _number: part


async def set_pin(accounts: Accounts, pin_hash: str | None) -> None:
    """Set the registered number's pin."""
    account = await accounts.account(1)
    assert account is not None
    assert await accounts.set_pin(1, pin_hash, account)


def basic(username: str, password: str) -> str:
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


async def serve(
    pool: asyncpg.Pool,
    *,
    services_url: str = "http://127.0.0.1:1",  # where nobody listens
    contact_check: bool = False,
    contact_seconds: float = PATIENCE,
    media_quota: int = 0,
    registrar: Registrar | None = None,
    profile: ProfileStore | None = None,
    contents: MediaService | None = None,
    numbers: Numbers | None = None,
    identity_check: IdentityCheck | None = None,
    templates: TemplateList | None = None,
    **config: Any,
) -> Api:
    """A running application with a client; close ``api.client`` after use."""
    recorder, meter = Recorder(pool), Meter()
    context = assemble(
        pool,
        msgspec.structs.replace(CONFIG, **config),
        recorder,
        recorder,
        tokens=TokenCache(Accounts(pool), Keys(pool)),
        operations=operations_of(pool, "h:webapp-1", meter, meter.samples),
        audit=Audit(pool),
        received=Received(
            Library(through_pool(pool), MediaDirectory(MEDIA_DIR), media_quota),
            contents or MediaService(services_url),
        ),
        authority=by_number(registrar or Authority(services_url)),
        numbers=numbers or NumberDirectory(services_url, timeout=contact_seconds),
        profile=(
            by_number(profile)
            if profile
            else lambda number: LocalProfile(number, Accounts(pool), Photos(pool))
        ),
        contact_check=contact_check,
        served_chain=lambda: recorder.served_chain,
        identity_check=by_number(identity_check),
        templates=by_number(templates),
    )
    at_once = TCPConnector(limit=0)  # however many requests there are, none waits for another
    client = TestClient(TestServer(build_app(context)), connector=at_once)
    await client.start_server()
    return Api(client, context, recorder)


async def user_of(accounts: Accounts, name: str, password_hash: str, role: str) -> str:
    """Makes a user; a token of theirs, past login, which costs a password check."""
    token = new_token()
    await accounts.create_user(1, name, password_hash, role)
    assert await accounts.add_token(1, name, password_hash, hash_of(token))
    return token


async def key_of(pool: asyncpg.Pool, number: int) -> str:
    """A key of another number, which is there from now on; it may do all that a number's may."""
    await pool.execute(
        "insert into number (id, name) values ($1, $2) on conflict do nothing", number, f"n{number}"
    )
    key = new_key()
    new = NewKey(hash_of(key), "all", key[:SHOWN_CHARS], int(Scope.ADMIN), "admin")
    assert await Keys(pool).add(number, new)
    return key


Webapp = Callable[..., Awaitable[Api]]
