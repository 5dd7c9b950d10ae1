"""The database refuses new sessions: every route answers 503 with Retry-After, and none 500."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import msgspec
import pytest

from tests.api.test_database_frozen import NEED_IT, asked
from tests.harness.answer import Answer
from tests.harness.api import ADMIN_HASH, Api, serve, user_of
from tests.harness.postgres import clone
from tests.harness.wait import soon
from warouter.api.app import ROUTES
from warouter.api.route import Route
from warouter.config import Settings
from warouter.errors import OutcomeUnknown
from warouter.local.postgres import Postgres
from warouter.store.account.accounts import ADMIN, is_unavailable
from warouter.store.database import Session, create_pool

CLOSE = "alter database {name} allow_connections false"
# How an operator, or an accident, keeps a role {role} out of a database {name}, and the SQLSTATE.
REFUSALS = {
    "no login": ("28000", "alter role {role} nologin"),
    "no session of the role left": ("53300", "alter role {role} connection limit 0"),
    "no session of the database left": ("53300", "alter database {name} connection limit 0"),
    "database closed": ("55000", CLOSE),
    "database renamed": ("3D000", "alter database {name} rename to {name}_aside"),
    "no right to connect": ("42501", "revoke connect on database {name} from public, {role}"),
}


@pytest.fixture(autouse=True)
def patient_store() -> None:
    """Here it gives up in time."""


class Site:
    """A webapp whose role is no superuser, and an operator who is."""

    def __init__(self, settings: Settings, operator: asyncpg.Connection) -> None:
        self.settings = settings
        self.operator = operator
        self.api: Api
        self.pool: asyncpg.Pool

    async def start(self) -> None:
        self.pool = await create_pool(self.settings, "test", 4)
        self.api = await serve(self.pool)
        accounts = self.api.context.accounts
        self.api.admin = await user_of(accounts, "admin", ADMIN_HASH, ADMIN)
        assert (await self.settings_shown()).status == 200

    async def settings_shown(self) -> Answer:
        return await self.api.call("GET", "/v1/settings/application", token=self.api.admin)

    async def end_sessions(self) -> None:
        ended = "select pg_terminate_backend(pid, 10000) from pg_stat_activity where usename = $1"
        await self.operator.execute(ended, self.settings.db_username)
        # asyncpg takes no statement for a connection of which it has read only that it ends.
        await soon(lambda: self.pool.get_size() == 0)

    async def judge(self, state: str) -> None:
        """Sessions are refused with that SQLSTATE, and every route and owner says the right."""
        with pytest.raises(asyncpg.PostgresError) as refused:
            await self.pool.fetchval("select 1")
        assert refused.value.sqlstate == state
        answers = {f"{r.method} {r.path}": (r in NEED_IT, await self._ask(r)) for r in ROUTES}
        assert [name for name, (_, answer) in answers.items() if answer == 500] == []
        wrong = {name: a for name, (needs, a) in answers.items() if needs and a != 503}
        assert wrong == {}, (
            "are not 503: do they need no database (WITHOUT of test_database_frozen)?"
        )
        session = Session(self.settings, "owner")
        with pytest.raises(OutcomeUnknown, match="no connection to the database"):
            await session.fetch("select 1", within=10.0)

    async def _ask(self, route: Route) -> int:
        answer = await asked(self.api, route)
        if answer.status == 503:
            assert re.fullmatch("[1-9][0-9]*", answer.headers["Retry-After"]), route.path
        return answer.status


@asynccontextmanager
async def served(server: Postgres, settings: Settings) -> AsyncIterator[Site]:
    role = f"{settings.database}_role"
    operator = await asyncpg.connect(server.dsn("postgres"))
    inside = await asyncpg.connect(server.dsn(settings.database))
    await operator.execute(f"create role {role} login")
    await inside.execute(
        f"grant usage on schema warouter to {role};"
        f" grant all on all tables in schema warouter to {role}"
    )
    await inside.close()
    site = Site(msgspec.structs.replace(settings, db_username=role), operator)
    await site.start()
    try:
        yield site
    finally:
        site.pool.terminate()
        await site.api.client.close()
        await operator.close()


@pytest.mark.parametrize("how", REFUSALS)
async def test_every_route_is_503_while_sessions_are_refused(postgres: Postgres, how: str) -> None:
    state, sql = REFUSALS[how]
    async with served(postgres, await clone(postgres)) as site:
        names = {"name": site.settings.database, "role": site.settings.db_username}
        if how == "database renamed":  # which must have no session, and the webapp makes new ones
            await site.operator.execute(CLOSE.format(**names))
            await site.end_sessions()
        await site.operator.execute(sql.format(**names))
        await site.end_sessions()
        await site.judge(state)


async def test_rights_that_were_taken_away_are_no_fault_of_ours(postgres: Postgres) -> None:
    settings = await clone(postgres)
    async with served(postgres, settings) as site:
        inside = await asyncpg.connect(postgres.dsn(settings.database))
        await inside.execute(
            f"revoke all on all tables in schema warouter from {site.settings.db_username}"
        )
        await inside.close()
        answer = await site.settings_shown()
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


def test_a_statement_that_is_wrong_is_our_fault() -> None:
    for state in ("42601", "42P01", "22P02", "23505", "XX000"):
        assert not is_unavailable(asyncpg.PostgresError.new({"S": "ERROR", "C": state, "M": "no"}))
