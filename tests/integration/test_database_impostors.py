"""Who listens at PostgreSQL's port, and is not PostgreSQL, learns nothing by asking."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg.protocol
import pytest
import uvloop
from trustme import CA

from tests.harness import certificates, impostor
from tests.harness.certificates import Pair
from tests.harness.impostor import (
    CLEAR_TEXT,
    MD5,
    OFF_HOST,
    OK,
    READY,
    SCRAM,
    VERSION,
    Impostor,
    Talk,
)
from tests.harness.shell import refused
from warouter.config import Settings, load
from warouter.errors import CommandError, OutcomeUnknown, UntrustedDatabase
from warouter.local.environment import of_child
from warouter.store import database
from warouter.tls import pem

USER, PASSWORD = "router", "a-password-of-its-own"
OFF = {"WAROUTER_DB_SSL": "off"}
REFUSED = impostor.message(b"E", b"SFATAL\0VFATAL\0C28P01\0Mno\0\0")
Loop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Any:
    """The product runs on uvloop, tests and `warouter migrate` on asyncio's."""
    return request.param


def environment(server: Impostor, host: str = "127.0.0.1", **more: str) -> dict[str, str]:
    here = {"WA_DB_HOSTNAME": host, "WA_DB_PORT": str(server.port)}
    return here | {"WA_DB_USERNAME": USER, "WA_DB_PASSWORD": PASSWORD} | more


def settings_to(server: Impostor, host: str = "127.0.0.1", **more: str) -> Settings:
    return load(environment(server, host, **more))


async def first(settings: Settings) -> None:
    await database.first_connection(settings, "test")


async def by_pool(settings: Settings) -> None:
    await database.create_pool(settings, "test", 2)


async def by_session(settings: Settings) -> None:
    await database.Session(settings, "test").fetch("select 1", within=5.0)


def refusal(settings: Settings, loop: Loop = uvloop.new_event_loop, way: Any = first) -> str:
    """What a connection ends with."""
    with (
        asyncio.Runner(loop_factory=loop) as runner,
        pytest.raises((CommandError, UntrustedDatabase, OutcomeUnknown)) as caught,
    ):
        runner.run(way(settings))
    return str(caught.value)


def context_of(pair: Pair) -> ssl.SSLContext:
    return pem.server_context(pair.pem + pair.key)


ASKED = [
    (CLEAR_TEXT, r"asked for the password in clear text outside of verified TLS, .*pg_hba\.conf"),
    (MD5, "asked for the password as MD5 outside of verified TLS, and was not told"),
    (OK + CLEAR_TEXT, "in clear text"),  # asyncpg would answer until the server is ready
    (SCRAM + MD5, "as MD5"),
    (impostor.message(b"N", b"SNOTICE\0\0") + MD5, "as MD5"),
    (impostor.authentication(7), r"an unknown kind \(7\)"),
    (impostor.authentication(999), r"an unknown kind \(999\)"),
    (impostor.message(b"R"), "did not answer as PostgreSQL does: check WA_DB_HOSTNAME"),
    (OK + READY, "did not answer as PostgreSQL does"),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "did not answer as PostgreSQL does"),
]


@pytest.mark.parametrize("bytewise", [False, True], ids=["at once", "bytewise"])
@pytest.mark.parametrize("where", ["loopback", "off", "off in TLS"])
@pytest.mark.parametrize(("asks", "sentence"), ASKED)
def test_a_password_that_could_be_read_is_not_told(
    loop: Loop, asks: bytes, sentence: str, where: str, bytewise: bool
) -> None:
    tls = context_of(certificates.alone()) if where == "off in TLS" else None
    host, more = (OFF_HOST, OFF) if where.startswith("off") else ("127.0.0.1", {})
    with Impostor(asks, tls, bytewise=bytewise) as server:
        said = refusal(settings_to(server, host, **more), loop)
    assert re.search(sentence, said)
    assert USER.encode() in server.heard()
    assert not server.learned(USER, PASSWORD)


@pytest.mark.parametrize("way", [by_pool, by_session])
@pytest.mark.parametrize(("asks", "sentence"), ASKED[:2])
def test_pools_and_sessions_tell_no_more(way: Any, asks: bytes, sentence: str) -> None:
    with Impostor(asks) as server:
        assert re.search(sentence, refusal(settings_to(server), way=way))
    assert not server.learned(USER, PASSWORD)


def test_a_server_whose_greeting_never_ends_is_left(loop: Loop) -> None:
    """Else what it reports of itself would fill this process's memory."""

    def endless(talk: Talk) -> None:
        talk.say(OK)
        n = 0
        while True:
            n += 1
            talk.say(impostor.message(b"S", b"name%d\0" % n + b"x" * 60_000 + b"\0"))

    with Impostor(endless) as server:
        assert "did not answer as PostgreSQL does" in refusal(settings_to(server), loop)


authority = CA()
CERTIFICATES = {
    "itself": (certificates.alone(OFF_HOST), "no authority of WA_DB_SSL_CA .*vouches"),
    "a stranger": (certificates.issued(CA(), name=OFF_HOST), "no authority of WA_DB_SSL_CA"),
    "another name": (certificates.issued(authority), "is for another name: write WA_DB_HOSTNAME"),
    "ended": (
        certificates.issued(authority, name=OFF_HOST, begins=-9, ends=-1),
        "has expired: renew it",
    ),
    "not begun": (
        certificates.issued(authority, name=OFF_HOST, begins=1),
        "is not valid yet: compare the clocks",
    ),
}


@pytest.mark.parametrize("kind", CERTIFICATES)
def test_a_server_that_cannot_be_verified_is_told_no_name(
    loop: Loop, tmp_path: Path, kind: str
) -> None:
    """Not even the role's name."""
    pair, sentence = CERTIFICATES[kind]
    (tmp_path / "ca.pem").write_text(certificates.text_of(authority))
    with Impostor(CLEAR_TEXT, context_of(pair)) as server:
        settings = settings_to(server, OFF_HOST, WA_DB_SSL_CA=str(tmp_path / "ca.pem"))
        said = refusal(settings, loop)
    assert re.search(sentence, said)
    assert "WA_DB_SSL_CA" in said
    assert "WAROUTER_DB_SSL=off" in said
    assert server.heard() == b""


@pytest.mark.parametrize("way", [first, by_pool, by_session])
def test_a_server_without_tls_is_told_no_name(loop: Loop, way: Any) -> None:
    with Impostor(CLEAR_TEXT) as server:
        said = refusal(settings_to(server, OFF_HOST), loop, way)
    assert "it offers no TLS: turn ssl on there and set WA_DB_SSL_CA to its authority" in said
    assert "WAROUTER_DB_SSL=off" in said
    assert server.heard() == b""


def test_without_authorities_of_ones_own_those_of_the_system_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = certificates.issued(authority, name=OFF_HOST)
    with Impostor(CLEAR_TEXT, context_of(pair)) as server:
        said = refusal(settings_to(server, OFF_HOST))
    assert "no authority of the system (WA_DB_SSL_CA is not set) vouches" in said
    assert server.heard() == b""
    (tmp_path / "system.pem").write_text(certificates.text_of(authority))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
    with Impostor(CLEAR_TEXT + REFUSED, context_of(pair)) as server:
        said = refusal(settings_to(server, OFF_HOST))
    assert "refused the password of 'router'" in said
    assert server.learned(USER, PASSWORD), "verified, it may ask as it likes"


@pytest.mark.parametrize("rounds", [1, 4095, 1_000_001, 10**12])
def test_no_proof_goes_out_by_which_a_password_can_be_guessed(loop: Loop, rounds: int) -> None:
    """An impostor chooses salt and rounds; a great number would hold the event loop."""

    def asks(talk: Talk) -> None:
        talk.say(SCRAM)
        talk.say(impostor.scram_continued(talk.hear(), rounds))

    with Impostor(asks) as server:
        said = refusal(settings_to(server), loop)
    assert "asked for a SCRAM proof by which the password can be guessed" in said
    assert b",p=" not in server.heard()
    assert not server.learned(USER, PASSWORD)


def test_scram_that_goes_on_with_nonsense_ends_in_a_sentence(loop: Loop) -> None:
    def asks(talk: Talk) -> None:
        talk.say(SCRAM)
        talk.say(impostor.scram_continued(talk.hear(), 4096))
        assert b",p=" in talk.hear()
        talk.say(impostor.authentication(12, b"v=bm9uc2Vuc2U=") + OK + READY)

    with Impostor(asks, bytewise=True) as server:
        said = refusal(settings_to(server), loop)
    assert "could not verify server signature" in said
    assert not server.learned(USER, PASSWORD)


def test_of_two_refusals_that_in_tls_is_told(loop: Loop) -> None:
    """Without TLS it is tried again, as a line of pg_hba.conf may demand."""
    refusals = iter([b"show a certificate", b"no entry"])

    def asks(talk: Talk) -> None:
        talk.say(impostor.message(b"E", b"SFATAL\0VFATAL\0C28000\0M" + next(refusals) + b"\0\0"))

    with Impostor(asks, context_of(certificates.alone())) as server:
        said = refusal(settings_to(server), loop)
    assert "does not let 'router' in (show a certificate): set WA_DB_USERNAME" in said
    assert list(refusals) == []


def test_a_server_that_asked_for_no_password_is_told_none_later(loop: Loop) -> None:
    def asks(talk: Talk) -> None:
        talk.say(OK + VERSION + READY)
        talk.hear()
        talk.say(CLEAR_TEXT + MD5)
        raise OSError

    with Impostor(asks) as server:
        refusal(settings_to(server), loop)
    assert not server.learned(USER, PASSWORD)


def test_an_asyncpg_that_makes_another_protocol_has_no_password_to_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the guard knows of asyncpg may change with its next version."""
    (theirs,) = asyncpg.protocol.Protocol.__bases__
    monkeypatch.setattr(asyncpg.protocol, "Protocol", theirs)
    with Impostor(CLEAR_TEXT + REFUSED) as server:
        said = refusal(settings_to(server))
    assert "This version of asyncpg does not let warouter protect the password" in said
    assert not server.learned(USER, PASSWORD)


def test_variables_and_files_of_psql_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pgpass").write_text("*:*:*:*:from-a-file\n")
    (tmp_path / "pgpass").chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    monkeypatch.setenv("PGPASSWORD", "from-a-variable")
    monkeypatch.setenv("PGSSLMODE", "disable")
    monkeypatch.setenv("PGSSLNEGOTIATION", "direct")
    monkeypatch.setenv("PGSSLROOTCERT", "/nowhere")
    (tmp_path / "ca.pem").write_text(certificates.text_of(authority))
    pair = certificates.issued(authority, name=OFF_HOST)
    given = {"WA_DB_SSL_CA": str(tmp_path / "ca.pem"), "WA_DB_PASSWORD": ""}
    with Impostor(CLEAR_TEXT + REFUSED, context_of(pair)) as server:
        assert "refused the password" in refusal(settings_to(server, OFF_HOST, **given))
    assert b"from-a" not in server.heard()


@pytest.mark.parametrize("role", ["webapp", "coreapp", "master"])
def test_a_process_says_it_in_one_sentence(role: str) -> None:
    with Impostor(CLEAR_TEXT) as server:
        for host, sentence in ((OFF_HOST, "it offers no TLS"), ("127.0.0.1", "in clear text")):
            done = subprocess.run(
                [sys.executable, "-m", "warouter", role],
                env=of_child(environment(server, host, WAROUTER_NO_TLS="1")),
                capture_output=True,
                text=True,
            )
            assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
            assert sentence in done.stderr
    assert not server.learned(USER, PASSWORD)


async def test_commands_say_in_one_sentence_that_the_server_asks_for_md5(loop: Loop) -> None:
    with Impostor(MD5) as server:
        for name in ("status", "migrate"):
            assert "as MD5 outside of verified TLS" in await refused(
                None, name, **environment(server)
            )
    assert not server.learned(USER, PASSWORD)
