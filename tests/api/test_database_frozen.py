"""The database takes connections and does not answer: every route says so in bounded time."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.harness.answer import Answer
from tests.harness.api import ADMIN_HASH, ADMIN_PASSWORD, Api, basic, serve, user_of
from tests.harness.proxy import Proxy
from tests.harness.wait import Awake
from warouter.api.app import ROUTES
from warouter.api.route import Access, Route
from warouter.config import Settings
from warouter.store.account.accounts import ADMIN
from warouter.store.bounded import SECONDS
from warouter.store.database import create_pool

UUID = "36c484d1-1283-4b94-988d-7276bdec4de2"
JPEG = b"\xff\xd8\xff1234"
# Bodies that reach the database; a route without one takes none, or is refused before.
BODIES: dict[tuple[str, str], object] = {
    ("POST", "/v1/users"): {"username": "clerk", "password": "N3w!passw"},
    ("PUT", "/v1/users/{username}"): {"password": "N3w!passw"},
    ("POST", "/v1/keys"): {"name": "shop", "scopes": ["send"]},
    ("POST", "/v1/media"): b"hello",
    ("PATCH", "/v1/settings/application"): {"callback_persist": True},
    ("POST", "/v1/settings/application/media/providers"): [
        {"name": "a", "config": {"bearer": "x"}}
    ],
    ("POST", "/v1/settings/application/webhook-secrets"): {"secret": "whsec_" + "A" * 32},
    ("POST", "/v1/settings/business/profile"): {"address": "x"},
    ("POST", "/v1/settings/business/compliance_info"): {"entity_name": "x"},
    ("PATCH", "/v1/settings/profile/about"): {"text": "x"},
    ("POST", "/v1/settings/profile/photo"): JPEG,
    ("POST", "/v1/account"): {},
    ("POST", "/v1/account/verify"): {},
    ("POST", "/v1/account/shards"): {},
    ("POST", "/v1/settings/account/two-step"): {},
    ("POST", "/v1/settings/backup"): {},
    ("POST", "/v1/settings/restore"): {},
    ("POST", "/v1/stickerpacks"): {"publisher": "a", "name": "b"},
    ("PATCH", "/v1/stickerpacks/{pack}"): {"name": "b"},
    ("POST", "/v1/stickerpacks/{pack}/stickers"): {"image_data_id": "x", "emojis": ["x"]},
    ("PATCH", "/v1/stickerpacks/{pack}/stickers/{index}"): {"emojis": ["x"]},
}
# What needs no database, or not by itself: the rest of a webapp stands behind these.
WITHOUT = {
    *("/", "/v1/openapi.json", "/v1/docs", "/v1/errors", "/metrics", "/v1/metrics", "/v1/health"),
    *("/v1/messages", "/v1/contacts", "/v1/contacts/{wa_id}/identity"),
    *("/v1/certificates/external/ca",),
}
NEED_IT = [
    route
    for route in ROUTES
    if route.path not in WITHOUT
    and not route.path.startswith("/v1/groups")
    and (route.method, route.path)
    not in {
        ("PUT", "/v1/messages/{message}"),
        ("GET", "/v1/messages/{message}"),
        ("GET", "/v1/account/shards"),
        ("POST", "/v1/certificates/external"),
        ("POST", "/v1/certificates/webhooks/ca"),
    }
]


@pytest.fixture(autouse=True)
def patient_store() -> None:
    """Here it gives up in time."""


def path_of(route: Route) -> str:
    path = re.sub(r"\{(index|key)\}", "0", route.path)
    return re.sub(r"\{\w+\}", "clerk", re.sub(r"\{(media|pack)\}", UUID, path))


async def asked(api: Api, route: Route) -> Answer:
    """What is answered to a request of an administrator that gets as far as the database."""
    body = BODIES.get((route.method, route.path))
    headers = {"Content-Type": "text/plain", "Authorization": f"Bearer {api.admin}"}
    if route.access is Access.LOGIN:
        headers["Authorization"] = basic("admin", ADMIN_PASSWORD)
    sent: dict[str, Any] = {"data": body} if isinstance(body, bytes) else {"body": body}
    return await api.call(route.method, path_of(route), headers=headers, **sent)


async def test_every_route_is_503_in_time(database: Settings) -> None:
    server = Path(database.db_hostname) / f".s.PGSQL.{database.db_port}"
    async with Proxy(lambda: server) as proxy, Awake() as awake:
        through = msgspec.structs.replace(
            database, db_hostname="127.0.0.1", db_port=str(proxy.port)
        )
        pool = await create_pool(through, "test", 6)
        for table in ("token", "user_account", "attempt"):
            await pool.execute(f"delete from {table}")
        api = await serve(pool)
        try:
            api.admin = await user_of(api.context.accounts, "admin", ADMIN_HASH, ADMIN)
            assert (await api.call("GET", "/v1/health", token=api.admin)).status == 200
            proxy.cut()

            async def ask(route: Route) -> tuple[str, int, float]:
                began = awake.seconds
                answer = await asked(api, route)
                assert answer.headers.get("Retry-After") == "1", (route.path, answer.body)
                return f"{route.method} {route.path}", answer.status, awake.seconds - began

            answers = await asyncio.gather(*map(ask, NEED_IT))
            assert (await api.call("GET", "/")).status == 200
            assert (await api.call("GET", "/metrics", token=api.admin)).status == 200
            assert [a for a in answers if a[1] != 503 or a[2] > SECONDS + 3] == []
            proxy.heal()
            settings = "/v1/settings/application"
            assert (await api.call("GET", settings, token=api.admin)).status == 200
        finally:
            pool.terminate()
            await api.client.close()
