"""The initial content of a local cluster: a password, a registered number, a shard count."""

from __future__ import annotations

import asyncio
from base64 import b64decode

from warouter.access.names import DEFAULT_USERNAME
from warouter.access.passwords import draw_password, hash_once
from warouter.background import wait_for
from warouter.cloud_number import FIRST
from warouter.config import Settings
from warouter.errors import CommandError
from warouter.store import audit, migrate
from warouter.store.account.accounts import ADMIN, Accounts
from warouter.store.database import close_politely, connect, create_pool, listen
from warouter.store.nodes import read_map
from warouter.store.roles.catalogue import recorded
from warouter.store.roles.create import create
from warouter.store.upstream import choose_upstream, read_upstream

LOOK_SECONDS = 0.1  # hints may be lost
SERVER_VERSION = "show server_version"
_FIRST_SHARDS = """
update shard_map set shards = $1 where not exists (select from slot where epoch > 0)"""


async def first_seed(settings: Settings, shards: int, password: str) -> str:
    """Seed what is missing; returns the admin's password (``password`` if that is still valid)."""
    async with await create_pool(settings, "seed", 2) as pool:
        accounts = Accounts(pool)
        await pool.execute(_FIRST_SHARDS, shards)
        if not password:
            password = draw_password()
            hashed = await hash_once(password)
            if not await accounts.create_user(FIRST, DEFAULT_USERNAME, hashed, ADMIN):
                await accounts.set_password(FIRST, DEFAULT_USERNAME, hashed)
        return password


async def own_logins(settings: Settings) -> dict[str, str]:
    """Make the logins of an own database, which trusts who reaches it; names by kind of process."""
    async with migrate.administering(settings) as connection:
        await create(connection, None, None)
        await audit.keep(connection, settings.audit_days)
        return await recorded(connection)


async def seed_number(
    settings: Settings, cc: str, phone_number: str, cert: str, authority_key: str
) -> None:
    """Register this number, if none is."""
    async with await create_pool(settings, "seed", 1) as pool:
        accounts = Accounts(pool)
        if await accounts.account(FIRST) is None:
            await accounts.save_account(FIRST, cc, phone_number, cert, b64decode(authority_key))


async def use_upstream(settings: Settings) -> None:
    """Give a fresh database the upstream of these settings; CommandError if it has another one."""
    connection = await connect(settings, "seed")
    try:
        if not await choose_upstream(connection, settings.upstream_name):
            raise CommandError(
                f"This database belongs to the upstream {await read_upstream(connection)} for ever:"
                " start with that one, or on a new database."
            )
    finally:
        await close_politely(connection)


async def shards_now(settings: Settings) -> int:
    """The shard count in the database."""
    connection = await connect(settings, "seed")
    try:
        return (await read_map(connection)).shards
    finally:
        await close_politely(connection)


async def server_version(settings: Settings) -> str:
    """The version of the PostgreSQL that runs, such as ``18.6`` or ``15.18 (Debian ...)``."""
    connection = await connect(settings, "seed")
    try:
        return str(await connection.fetchval(SERVER_VERSION))
    finally:
        await close_politely(connection)


async def ready_map(settings: Settings, seconds: float) -> None:
    """Wait until every slot has an owner and none is moving."""
    changed = asyncio.Event()
    connection = await connect(settings, "seed")
    try:
        await listen(connection, lambda _what: changed.set())
        async with asyncio.timeout(seconds):
            while not (await read_map(connection)).settled:
                changed.clear()
                await wait_for(changed, LOOK_SECONDS)
    except TimeoutError as error:
        raise CommandError(
            f"The shards had no owner after {seconds:g} s: see the logs of the masters."
        ) from error
    finally:
        await close_politely(connection)
