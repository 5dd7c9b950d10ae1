"""TLS to a real PostgreSQL: who is verified by what, which passwords go out, files that change."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import asyncpg.connect_utils
import asyncpg.protocol
import pytest
import pytest_asyncio
from trustme import CA

from tests.harness import certificates, prepared
from tests.harness.certificates import Pair
from tests.harness.impostor import OFF_HOST
from tests.harness.postgres import own_server
from tests.harness.shell import printed
from tests.harness.terminating import Terminating
from warouter.config import Settings, load
from warouter.errors import CommandError, UntrustedDatabase
from warouter.local.postgres import Postgres
from warouter.store import database
from warouter.store.transport import contexts, password_guard
from warouter.tls import pem

PASSWORD = "a-password-of-its-own"
ROLES = {"by_scram": "scram-sha-256", "by_md5": "md5", "in_clear": "password", "by_trust": "trust"}
HBA = "".join(f"local all {role} {method}\n" for role, method in ROLES.items())


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """Its roles log in by one method each."""
    with own_server() as server:
        asyncio.run(roles(server))
        yield server


async def roles(server: Postgres) -> None:
    admin = await asyncpg.connect(server.dsn("postgres"))
    for role, method in ROLES.items():
        stored = "md5" if method == "md5" else "scram-sha-256"
        await admin.execute(f"set password_encryption = '{stored}'")
        await admin.execute(f"create role {role} superuser login password '{PASSWORD}'")
    hba = server.folder / "pg_hba.conf"
    hba.write_text(HBA + "local all postgres trust\n")
    await admin.fetch("select pg_reload_conf()")
    await admin.close()


class Scene:
    """The server behind TLS, an authority in a file, and settings that lead there."""

    def __init__(self, server: Postgres, folder: Path) -> None:
        self.socket = server.socket_folder
        self.folder = folder
        self.authority = CA()
        self.front = Terminating(server.socket_folder / ".s.PGSQL.5432", None)
        self.use(self.authority)

    def use(self, authority: CA) -> None:
        """From now on the server shows a certificate of this authority."""
        self.front.context = context_of(certificates.issued(authority, name=OFF_HOST))

    def file(self, name: str, text: str) -> str:
        """A file of the settings, which may be written anew."""
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def ca(self, authority: CA | None = None) -> dict[str, str]:
        text = certificates.text_of(authority or self.authority)
        return {"WA_DB_SSL_CA": self.file("ca.pem", text)}

    def shows(self, pair: Pair) -> dict[str, str]:
        cert, key = self.file("client.pem", pair.pem), self.file("client.key", pair.key)
        return {"WA_DB_SSL_CERT": cert, "WA_DB_SSL_KEY": key}

    def settings(self, role: str = "by_scram", host: str = OFF_HOST, **more: str) -> Settings:
        here = {"WA_DB_HOSTNAME": host, "WA_DB_PORT": str(self.front.port)}
        who = {"WA_DB_USERNAME": role, "WA_DB_PASSWORD": PASSWORD}
        return load(here | who | {"WAROUTER_DB_NAME": prepared.DATABASE} | more)


@pytest_asyncio.fixture
async def scene(server: Postgres, tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(server, tmp_path)
    async with scene.front:
        yield scene


def context_of(pair: Pair) -> ssl.SSLContext:
    return pem.server_context(pair.pem + pair.key)


async def connected(settings: Settings) -> None:
    """By a connection, and by a pool."""
    connection = await database.first_connection(settings, "test")
    assert await connection.fetchval("select current_user") == settings.db_username
    await connection.close()
    pool = await database.create_pool(settings, "test", 2)
    assert await pool.fetchval("select current_user") == settings.db_username
    await pool.close()


async def refusal(settings: Settings) -> str:
    """The sentence of a connection; a pool's is the same."""
    with pytest.raises(CommandError) as caught:
        await database.first_connection(settings, "test")
    with pytest.raises(UntrustedDatabase) as of_pool:
        await database.create_pool(settings, "test", 2)
    assert str(of_pool.value) == str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("role", ROLES)
async def test_a_verified_server_may_ask_as_it_likes(scene: Scene, role: str) -> None:
    await connected(scene.settings(role, **scene.ca()))
    assert scene.front.in_tls == 2


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("where", ["loopback", "loopback in TLS", "off", "off in TLS", "socket"])
async def test_elsewhere_a_password_goes_out_by_scram_only(
    scene: Scene, role: str, where: str
) -> None:
    if not where.endswith("TLS"):
        scene.front.context = None
    host, more = (OFF_HOST, {"WAROUTER_DB_SSL": "off"}) if "off" in where else ("127.0.0.1", {})
    if where == "socket":
        host, more = str(scene.socket), {"WA_DB_PORT": "5432"}
    settings = scene.settings(role, host, **more)
    if role in ("by_md5", "in_clear"):
        assert "outside of verified TLS" in await refusal(settings)
    else:
        await connected(settings)
    assert (scene.front.in_tls > 0) == where.endswith("TLS")


async def test_a_wrong_password_is_one_sentence_in_tls_too(scene: Scene) -> None:
    settings = scene.settings(**scene.ca(), WA_DB_PASSWORD="wrong")
    with pytest.raises(CommandError, match="refused the password of 'by_scram'"):
        await database.first_connection(settings, "test")


async def test_a_login_that_is_not_let_in_is_one_sentence(scene: Scene) -> None:
    with pytest.raises(CommandError, match=r"does not let 'nobody' in .*change its pg_hba\.conf"):
        await database.first_connection(scene.settings("nobody", **scene.ca()), "test")


async def test_of_several_hosts_each_is_judged_by_itself(scene: Scene) -> None:
    """The first has no TLS and is off-host; the second is a socket."""
    scene.front.context = None
    ports = f"{scene.front.port},5432"
    await connected(scene.settings(host=f"{OFF_HOST},{scene.socket}", WA_DB_PORT=ports))


async def test_the_guard_is_in_force_until_the_server_is_ready(scene: Scene) -> None:
    """asyncpg's names are its own business; when they change, no password goes out any more."""
    assert asyncpg.protocol.Protocol is password_guard.GuardedProtocol
    assert asyncpg.connect_utils.protocol is asyncpg.protocol
    for settings in (
        scene.settings(**scene.ca()),
        scene.settings(host=str(scene.socket), WA_DB_PORT="5432"),
    ):
        connection = await database.connect(settings, "test")
        protocol = connection._protocol
        assert type(protocol) is password_guard.GuardedProtocol
        # asyncpg's own from here on: a message costs nothing more.
        assert protocol.data_received.__func__ is not password_guard.GuardedProtocol.data_received
        await connection.close()
        assert "data_received" not in vars(protocol)


async def test_a_renewed_authority_counts_from_the_next_connection_on(scene: Scene) -> None:
    settings = scene.settings(**scene.ca())
    pool = await database.create_pool(settings, "test", 2)
    other = CA()
    scene.use(other)
    await pool.expire_connections()
    with pytest.raises(UntrustedDatabase, match="no authority of WA_DB_SSL_CA"):
        await pool.fetchval("select 1")
    scene.ca(other)
    assert await pool.fetchval("select 1") == 1
    await pool.close()


async def test_a_renewed_client_certificate_counts_from_the_next_connection_on(
    scene: Scene,
) -> None:
    before, after = CA(), CA()
    assert scene.front.context is not None
    scene.front.context.verify_mode = ssl.CERT_REQUIRED
    scene.front.context.load_verify_locations(cadata=certificates.text_of(before))
    settings = scene.settings(**scene.ca(), **scene.shows(certificates.issued(before)))
    pool = await database.create_pool(settings, "test", 2)
    scene.use(scene.authority)
    scene.front.context.verify_mode = ssl.CERT_REQUIRED
    scene.front.context.load_verify_locations(cadata=certificates.text_of(after))
    await pool.expire_connections()
    scene.shows(certificates.issued(after))
    assert await pool.fetchval("select 1") == 1
    await pool.close()


async def test_between_a_new_certificate_and_its_key_the_last_pair_is_shown(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    assert scene.front.context is not None
    scene.front.context.verify_mode = ssl.CERT_REQUIRED
    scene.front.context.load_verify_locations(cadata=certificates.text_of(scene.authority))
    settings = scene.settings(**scene.ca(), **scene.shows(certificates.issued(scene.authority)))
    await connected(settings)
    new = certificates.issued(scene.authority)
    scene.file("client.pem", new.pem)
    await connected(settings)
    assert [r.message for r in caplog.records] == ["certificate refresh failed"]
    assert "is not that of the certificate" in vars(caplog.records[0])["error"]
    scene.file("client.key", new.key)
    await connected(settings)
    assert len(caplog.records) == 1


async def test_a_client_certificate_goes_with_the_authorities_of_the_system(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", scene.ca()["WA_DB_SSL_CA"])
    assert scene.front.context is not None
    scene.front.context.verify_mode = ssl.CERT_REQUIRED
    scene.front.context.load_verify_locations(cadata=certificates.text_of(scene.authority))
    await connected(scene.settings(**scene.shows(certificates.issued(scene.authority))))


async def test_a_client_certificate_goes_to_a_server_that_is_not_verified_as_well(
    scene: Scene,
) -> None:
    assert scene.front.context is not None
    scene.front.context.verify_mode = ssl.CERT_REQUIRED
    scene.front.context.load_verify_locations(cadata=certificates.text_of(scene.authority))
    own = scene.shows(certificates.issued(scene.authority))
    await connected(scene.settings(WAROUTER_DB_SSL="off", **own))
    assert scene.front.in_tls == 2


Files = dict[str, str]


def gone(name: str) -> Callable[[Scene, Files], Files]:
    return lambda scene, files: files | {name: str(scene.folder / "gone.pem")}


def other_text(name: str, text: str) -> Callable[[Scene, Files], Files]:
    def written(_scene: Scene, files: Files) -> Files:
        Path(files[name]).write_text(text)
        return files

    return written


def ended(scene: Scene, files: Files) -> Files:
    return files | scene.shows(certificates.issued(scene.authority, begins=-9, ends=-1))


def locked(_scene: Scene, files: Files) -> Files:
    key = Path(files["WA_DB_SSL_KEY"])
    key.write_text(certificates.in_pem(certificates.key_of(key.read_text()), b"secret"))
    return files


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (gone("WA_DB_SSL_CA"), r"WA_DB_SSL_CA is .*gone\.pem, .*No such file.*: set it to a PEM"),
        (lambda scene, files: files | {"WA_DB_SSL_CA": str(scene.folder)}, r"Is a directory"),
        (other_text("WA_DB_SSL_CA", "nothing"), r"WA_DB_SSL_CA is .*, which cannot be loaded"),
        (gone("WA_DB_SSL_CERT"), r"WA_DB_SSL_CERT is .*gone\.pem, .*No such file"),
        (ended, r"WA_DB_SSL_CERT \(.*client\.pem\) expired on 20.*: replace it and its key"),
        (gone("WA_DB_SSL_KEY"), r"WA_DB_SSL_KEY is .*gone\.pem, .*No such file"),
        (
            other_text("WA_DB_SSL_KEY", certificates.issued(CA()).key),
            r"The key in WA_DB_SSL_KEY .* is not that of the certificate in WA_DB_SSL_CERT",
        ),
        (
            other_text("WA_DB_SSL_KEY", "nothing"),
            r"WA_DB_SSL_KEY \(.* cannot be loaded .*: give PEM",
        ),
        (locked, r"WA_DB_SSL_KEY \(.*\) cannot be loaded .*without a password"),
        (
            lambda _scene, files: files | {"WA_DB_SSL_CERT": ""},
            "WA_DB_SSL_KEY is set without WA_DB_SSL_CERT: set both, or neither",
        ),
    ],
)
async def test_a_file_that_cannot_be_used_is_named(
    scene: Scene, wrong: Callable[[Scene, Files], Files], sentence: str
) -> None:
    files = scene.ca() | scene.shows(certificates.issued(scene.authority))
    assert re.search(sentence, await refusal(scene.settings(**wrong(scene, files))))


async def test_status_says_how_the_database_is_reached(scene: Scene) -> None:
    settings = scene.settings()
    assert "verified" in await printed(settings, "status", **scene.ca())
    off = {"WAROUTER_DB_SSL": "off"}
    assert "off (WAROUTER_DB_SSL=off)" in await printed(settings, "status", **off)


def test_a_context_is_made_once_for_files_that_stay(scene: Scene) -> None:
    settings = scene.settings(**scene.ca())
    first = contexts.context(settings, verified=True)
    assert contexts.context(settings, verified=True) is first
    assert first.verify_mode is ssl.CERT_REQUIRED
    assert first.check_hostname
