"""The application on a real PostgreSQL; what lies behind ``submit`` is a recorder here."""

from __future__ import annotations

import asyncio
import atexit
import ipaddress
import shutil
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer
from argon2 import PasswordHasher

from tests.harness.described import check_answer
from tests.harness.integration import Integration, installed
from tests.harness.postgres import clone
from tests.harness.wait import PATIENCE
from warouter.api import sealed
from warouter.api.access.auth import seed_administrator
from warouter.api.access.tokens import TokenCache, hash_of, new_token
from warouter.api.app import build_app
from warouter.api.context import ApiConfig, Context, NodeState
from warouter.config import Settings
from warouter.http.meter import Meter
from warouter.link.wire import Outgoing
from warouter.local.postgres import Postgres
from warouter.media.directory import Directory
from warouter.media.library import Library
from warouter.node.context import assemble, operations_of
from warouter.simulator.server import Simulator
from warouter.store import bounded
from warouter.store.account.accounts import ADMIN, USER, Accounts
from warouter.store.audit import Audit
from warouter.store.database import create_pool
from warouter.store.media import through_pool
from warouter.store.views.trace import Trace, read_trace
from warouter.upstream.numbers import NumberDirectory
from warouter.upstream.registration import Authority

API_KEY = "0123456789abcdef"
MEDIA_DIR = Path(tempfile.mkdtemp(prefix="warouter-media-"))
atexit.register(shutil.rmtree, MEDIA_DIR, ignore_errors=True)
ADMIN_PASSWORD = "Adm1n!passw"
USER_PASSWORD = "Us3r!passw0rd"
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
ADMIN_HASH, USER_HASH = _HASHER.hash(ADMIN_PASSWORD), _HASHER.hash(USER_PASSWORD)
CONFIG = ApiConfig(
    api_key=API_KEY,
    allow_private=(ipaddress.ip_network("127.0.0.0/8"),),
    multiconnect=True,
)


@dataclass
class Recorder:
    """Stands where the rest of the webapp is; ``refuse`` is raised instead of taking a message."""

    pool: asyncpg.Pool
    submitted: list[Outgoing] = field(default_factory=list)
    inbound: dict[str, str] = field(default_factory=dict)
    nodes: list[NodeState] = field(default_factory=list)
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

    async def health(self) -> list[NodeState]:
        return self.nodes

    async def find_inbound(self, message_id: str) -> str | None:
        return self.inbound.get(message_id)

    async def trace(self, message_id: str) -> Trace | None:
        async with self.pool.acquire() as connection:
            return await read_trace(connection, message_id)


@dataclass
class Answer:
    """A response that was read: ``json`` is the decoded body, whatever the status."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["Content-Type"].startswith("application/json")
        return msgspec.json.decode(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The one error, after a check of the envelope."""
        assert self.status >= 400
        assert self.json["meta"] == {"api_status": "stable", "version": "v2.53.0"}
        (error,) = self.json["errors"]
        assert error["title"]
        assert error["details"]
        assert error["href"]
        assert "Traceback" not in self.body.decode()
        found: dict[str, Any] = error
        return found

    @property
    def code(self) -> int:
        code: int = self.error["code"]
        return code


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

    async def login(self, username: str, password: str, body: object = None) -> Answer:
        return await self.call(
            "POST", "/v1/users/login", body, headers={"Authorization": basic(username, password)}
        )

    async def token_of(self, username: str, password: str) -> str:
        answer = await self.login(username, password)
        assert answer.status == 200, answer.body
        token: str = answer.json["users"][0]["token"]
        return token


def basic(username: str, password: str) -> str:
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


async def serve(
    pool: asyncpg.Pool,
    config: ApiConfig = CONFIG,
    *,
    services_url: str = "http://127.0.0.1:1",  # where nobody listens
    contact_check: bool = False,
    contact_seconds: float = PATIENCE,
    media_quota: int = 0,
) -> Api:
    """A running application with a client; close ``api.client`` after use."""
    recorder, meter = Recorder(pool), Meter()
    context = assemble(
        pool,
        config,
        recorder,
        recorder,
        tokens=TokenCache(Accounts(pool)),
        operations=operations_of(pool, "h:webapp-1", meter, meter.samples),
        audit=Audit(pool),
        media=Library(through_pool(pool), Directory(MEDIA_DIR), media_quota),
        authority=Authority(services_url),
        numbers=NumberDirectory(services_url, timeout=contact_seconds),
        contact_check=contact_check,
        served_chain=lambda: recorder.served_chain,
    )
    client = TestClient(TestServer(build_app(context)))
    await client.start_server()
    return Api(client, context, recorder)


def reconfigured(**changes: Any) -> ApiConfig:
    return msgspec.structs.replace(CONFIG, **changes)


@pytest.fixture(autouse=True)
def cheap_backups(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of a backup costs 0.4 s; that it does has a test of its own."""
    for form in sealed._COSTS:
        monkeypatch.setitem(sealed._COSTS, form, 2**12)


@pytest.fixture(autouse=True)
def patient_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call ends because the machine has other work: what gives up has tests of its own."""
    monkeypatch.setattr(bounded, "SECONDS", PATIENCE)


@pytest.fixture(scope="session")
def database(postgres: Postgres) -> Settings:
    """One database for these tests: emptying four small tables is faster than a clone a test."""
    return asyncio.run(clone(postgres))


TABLES = (
    *("token", "user_account", "setting", "account", "registration", "attempt", "audit"),
    *("profile_photo", "sticker_pack", "media"),
)


@pytest_asyncio.fixture
async def pool(database: Settings) -> AsyncIterator[asyncpg.Pool]:
    pool = await create_pool(database, "test", 8)
    for table in TABLES:
        await pool.execute(f"delete from {table}")
    yield pool
    await pool.close()


@pytest_asyncio.fixture
async def authority() -> AsyncIterator[Simulator]:
    """A simulator, which is the registration authority too."""
    simulator = Simulator()
    await simulator.start()
    yield simulator
    await simulator.stop()


@pytest_asyncio.fixture
async def fresh(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    """As just installed: only admin with the default password."""
    api = await serve(pool)
    await seed_administrator(api.context.accounts, api.context.passwords)
    yield api
    await api.client.close()


@pytest_asyncio.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    """With a token of an administrator and one of a user (`worker`)."""
    api = await serve(pool)
    accounts = api.context.accounts
    api.admin, api.user = new_token(), new_token()
    # Past login, which costs a password check each: that has tests of its own.
    for name, role, password_hash, token in (
        ("admin", ADMIN, ADMIN_HASH, api.admin),
        ("worker", USER, USER_HASH, api.user),
    ):
        await accounts.create_user(name, password_hash, role)
        assert await accounts.add_token(name, password_hash, hash_of(token))
    yield api
    await api.client.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site() -> AsyncIterator[Integration]:
    """A cluster of real processes; those who use it run on the session's loop.

    They are of the xdist_group "site", since each worker would start a cluster of its own.
    """
    async with installed(shards=2, coreapps=3, masters=2, webapps=1) as integration:
        yield integration
