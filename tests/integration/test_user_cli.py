"""``warouter user`` through the command line, while a webapp runs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from tests.harness.api import FULL_USER_HASH, USER_PASSWORD, basic, user_of
from tests.harness.lone_webapp import Webapp, alone
from tests.harness.postgres import environment_of
from tests.harness.shell import at_terminal, command, printed, refused
from warouter.access.login import DEFAULT_PASSWORD, seed_administrator
from warouter.access.passwords import Passwords
from warouter.config import Settings
from warouter.store.account.accounts import ADMIN, USER, Accounts
from warouter.store.account.logins import USER as AT_USER
from warouter.store.account.logins import Limits, Logins

GOOD, OTHER = "G00d!passw", "0ther!Pass"
STRANGER = "203.0.113.9"


def written(folder: Path, text: str | bytes, mode: int = 0o600) -> str:
    file = folder / "password"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    file.chmod(mode)
    return str(file)


@pytest_asyncio.fixture
async def webapp(settings: Settings, pool: asyncpg.Pool) -> AsyncIterator[Webapp]:
    async with alone(settings) as webapp:
        yield webapp


async def audited(pool: asyncpg.Pool) -> list[tuple[str, str, str]]:
    rows = await pool.fetch("select action, subject, outcome from audit order by id")
    return [tuple(row) for row in rows]


async def test_the_default_password_never_works_on_a_database_that_got_another_one(
    settings: Settings, pool: asyncpg.Pool, webapp: Webapp, tmp_path: Path
) -> None:
    file = written(tmp_path, f"{GOOD}\n")
    told = await printed(settings, "user", "set-password", "admin", "--password-file", file)
    assert GOOD not in told
    assert await audited(pool) == [("change password", "admin", "done")]
    who, where = await pool.fetchrow("select actor, source from audit")
    assert who
    assert where
    await webapp.process.start()
    login = await webapp.call("POST", "/v1/users/login", basic("admin", DEFAULT_PASSWORD))
    assert login[0] == 401
    token = await webapp.token_of("admin", GOOD)
    status, _ = await webapp.call("GET", "/v1/users/admin", f"Bearer {token}")
    assert status == 200
    assert "default password found" not in webapp.process.log.read_text()


async def test_a_new_password_ends_tokens_and_waits_at_once(
    settings: Settings, pool: asyncpg.Pool, webapp: Webapp
) -> None:
    await webapp.process.start()
    assert "default password found" in webapp.process.log.read_text()
    old = await user_of(Accounts(pool), "worker", FULL_USER_HASH, USER)
    kept = await user_of(Accounts(pool), "work_r", FULL_USER_HASH, USER)
    assert await webapp.opens(old)
    assert await webapp.opens(kept)
    for _ in range(Limits().failures):
        await webapp.call("POST", "/v1/users/login", basic("worker", "wrong"))
    login = "/v1/users/login"
    assert (await webapp.call("POST", login, basic("worker", USER_PASSWORD)))[0] == 429

    drawn = (await printed(settings, "user", "set-password", "worker")).strip()
    await webapp.until_ended(old)
    assert await webapp.opens(await webapp.token_of("worker", drawn))
    assert await webapp.opens(kept)
    assert (await webapp.call("POST", login, basic("worker", USER_PASSWORD)))[0] == 401

    drawn = (await printed(settings, "user", "set-password", "admin")).strip()
    assert await webapp.token_of("admin", drawn)


async def test_a_user_from_beginning_to_end(
    settings: Settings, pool: asyncpg.Pool, webapp: Webapp
) -> None:
    await webapp.process.start()
    result = await command(settings, "user", "add", "clerk")
    drawn = result.stdout.removesuffix("\n")
    assert "\n" not in drawn
    assert drawn not in result.stderr
    assert "drawn" in result.stderr
    token = await webapp.token_of("clerk", drawn)
    assert await webapp.opens(token)
    assert (await webapp.call("GET", "/v1/users/admin", f"Bearer {token}"))[0] == 403

    shown = await printed(settings, "user", "list")
    assert [line.split()[0] for line in shown.splitlines()] == ["name", "admin", "clerk"]
    listed = msgspec.json.decode(await printed(settings, "user", "list", "--json"))["users"]
    for user in listed:
        assert set(user) == {"username", "role", "created", "must_change", "tokens"}
    facts = [(u["username"], u["role"], u["must_change"], u["tokens"]) for u in listed]
    assert facts == [("admin", ADMIN, True, 0), ("clerk", USER, False, 1)]

    assert "There is no terminal" in await refused(settings, "user", "remove", "clerk")
    assert await webapp.opens(token)
    await printed(settings, "user", "remove", "clerk", "--yes")
    await webapp.until_ended(token)
    done = [row for row in await audited(pool) if row[0].endswith(" user")]
    assert done == [("create user", "clerk", "done"), ("delete user", "clerk", "done")]


async def test_a_password_from_the_standard_input(settings: Settings, pool: asyncpg.Pool) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "warouter", "user", "add", "clerk", "--password-file", "-"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment_of(settings),
    )
    told, _ = await process.communicate(f"{GOOD}\n".encode())
    assert process.returncode == 0
    assert told == b"User clerk added.\n"
    assert await Accounts(pool).user(1, "clerk") is not None


async def test_admin_is_added_as_the_administrator_once(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    await printed(settings, "user", "add", "admin")
    assert await pool.fetch("select username, role, must_change from user_account") == [
        ("admin", ADMIN, False)
    ]
    assert "set-password" in await refused(settings, "user", "add", "admin")


async def test_a_webapp_that_makes_the_administrator_meanwhile_does_not_bring_the_default_back(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    accounts, passwords = Accounts(pool), Passwords()
    for _ in range(3):
        await pool.execute("delete from user_account")
        drawn, _ = await asyncio.gather(
            printed(settings, "user", "set-password", "admin"),
            seed_administrator(accounts, passwords),
        )
        admin = await accounts.user(1, "admin")
        assert admin is not None
        assert (admin.role, admin.must_change) == (ADMIN, False)
        assert await passwords.verify_now(admin.password_hash, drawn.strip())
    passwords.close()


@pytest.mark.parametrize(("typed", "left"), [("y", False), ("n", True), ("", True)])
async def test_at_a_terminal_a_removal_is_asked_for(
    settings: Settings, pool: asyncpg.Pool, typed: str, left: bool
) -> None:
    await Accounts(pool).create_user(1, "clerk", FULL_USER_HASH)
    code, said = await at_terminal(typed, environment_of(settings), "user", "remove", "clerk")
    assert "Remove clerk and end all their tokens?" in said
    assert (code != 0) is left
    assert (await Accounts(pool).user(1, "clerk") is not None) is left


async def test_only_the_users_own_failures_are_forgotten(
    settings: Settings, pool: asyncpg.Pool
) -> None:
    logins = Logins(pool)
    for name in ("work", "worker", "wor%"):
        await Accounts(pool).create_user(1, name, FULL_USER_HASH)
        for _ in range(Limits().failures):
            await logins.failed(await logins.look(AT_USER, name, STRANGER, STRANGER))

    async def waiting() -> set[str]:
        names = ("work", "worker", "wor%")
        looks = [await logins.look(AT_USER, name, STRANGER, STRANGER) for name in names]
        return {look.name for look in looks if look.wait > 0}

    assert await waiting() == {"work", "worker", "wor%"}
    await printed(settings, "user", "set-password", "wor%")
    assert await waiting() == {"work", "worker"}
    await printed(settings, "user", "set-password", "work")
    assert await waiting() == {"worker"}
    spread = await pool.fetch("select name from attempt where what = 'spread'")
    assert spread == [("worker",)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["set-password", "nobody"], "There is no user nobody: see `warouter user list`."),
        (["remove", "nobody", "--yes"], "There is no user nobody: see `warouter user list`."),
        (["set-password", "a\nb"], "There is no user a?b: see `warouter user list`."),
        (["set-password", "\udcff"], "There is no user ?: see `warouter user list`."),
        (["remove", "", "--yes"], "There is no user"),
        (["add", "abc"], "The username must have 4 to 32 characters."),
        (["add", "a:bcd"], "The username must not contain"),
        (["add", "ab\x1bcd"], "The username must not contain"),
        (["add", " abcd"], "The username must not contain"),
        (["add", "worker"], "User worker exists already"),
        (["remove", "admin", "--yes"], "admin cannot be removed"),
        (["remove", "boss", "--yes"], "boss is the last administrator"),
    ],
)
async def test_bad_users_and_passwords_are_refused(
    settings: Settings, pool: asyncpg.Pool, arguments: list[str], sentence: str
) -> None:
    await user_of(Accounts(pool), "boss", FULL_USER_HASH, ADMIN)
    await user_of(Accounts(pool), "worker", FULL_USER_HASH, USER)
    before = await pool.fetch("select * from user_account order by 1")
    assert sentence in await refused(settings, "user", *arguments)
    assert await pool.fetch("select * from user_account order by 1") == before
    assert await pool.fetchval("select count(*) from token") == 2
    assert await audited(pool) == []


@pytest.mark.parametrize(
    ("content", "mode", "sentence"),
    [
        ("", 0o600, "must hold one line with the password: it is empty"),
        ("\n", 0o600, "must hold one line with the password: it is empty"),
        (f"{GOOD}\n{OTHER}\n", 0o600, "must hold one line with the password: it has 2 lines"),
        ("x" * 70_000, 0o600, "must hold one line with the password: it is longer than"),
        (b"\xff\xfe", 0o600, "it is not UTF-8"),
        (GOOD, 0o644, "everybody on this machine may read it: run `chmod o="),
        (GOOD, 0o602, "everybody on this machine may write it: run `chmod o="),
        ("x" * 5000, 0o600, "The password must have 8 to 64 characters."),
        ("weak", 0o600, "The password must have 8 to 64 characters."),
        ("weakpassw0rd!", 0o600, "The password must have at least an upper-case letter."),
    ],
)
async def test_files_that_are_refused(
    settings: Settings,
    pool: asyncpg.Pool,
    folder: Path,
    content: str | bytes,
    mode: int,
    sentence: str,
) -> None:
    file = written(folder, content, mode)
    for act in ("add", "set-password"):
        told = await refused(settings, "user", act, "admin", "--password-file", file)
        assert sentence in told
        assert GOOD not in told
    assert await pool.fetchval("select count(*) from user_account") == 0


async def test_files_that_cannot_be_read(settings: Settings, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        told = await refused(settings, "user", "add", "clerk", "--password-file", str(path))
        assert told.startswith(f"{path} must hold one line with the password: ")


@pytest.mark.parametrize("arguments", [["list"], ["set-password", "admin"]])
async def test_without_a_database(settings: Settings, arguments: list[str]) -> None:
    nowhere = {"WA_DB_HOSTNAME": "127.0.0.1", "WA_DB_PORT": "1"}
    assert "127.0.0.1" in await refused(None, "user", *arguments, **nowhere)
    assert "WA_DB_HOSTNAME" in await refused(None, "user", *arguments)
    empty = {"WAROUTER_DB_NAME": "postgres"}
    assert "warouter migrate" in await refused(settings, "user", *arguments, **empty)
