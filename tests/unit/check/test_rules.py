"""`warouter check`: each thing wrong in turn is exactly its finding, at its level."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from typing import Any

import msgspec
import pytest

from tests.harness import findings as documented
from warouter.check.facts import (
    CertificateDates,
    Database,
    FileAccess,
    Host,
    InstallationFacts,
    values_of,
)
from warouter.check.finding import Finding, Level, exit_code
from warouter.check.postgres_version import MENDED
from warouter.check.rules import RULES, judged, unreachable, worst_first
from warouter.config import Settings, load
from warouter.store.views.server import Server
from warouter.store.views.sessions import DatabaseLogin, SessionGroup, Trust

NEWEST = f"18.{MENDED[18]}"
CLOUD = {
    "WAROUTER_UPSTREAM": "cloud",
    "WAROUTER_CLOUD_PHONE_NUMBER_ID": "1",
    "WAROUTER_CLOUD_WABA_ID": "2",
    "WAROUTER_CLOUD_TOKEN_FILE": "/s/token",
    "WAROUTER_CLOUD_APP_SECRET_FILE": "/s/app",
    "WAROUTER_CLOUD_VERIFY_TOKEN_FILE": "/s/verify",
}
SETTINGS = {"WA_DB_HOSTNAME": "db.internal", "WA_API_KEY_FILE": "/s/key"}
SERVER = Server(
    version=NEWEST,
    password_encryption="scram-sha-256",
    connections=20,
    max_connections=100,
    reserved=3,
    shared_buffers=1 << 30,
    max_wal_size=8 << 30,
    oldest_transaction_s=0.1,
    oldest_transaction_by="pg_dump",
    dangers=(),
    shards=2,
    schema=29,
    md5=(),
    default_passwords=(),
    unseen=(),
)


def node(role: str, number: int = 1, **other: Any) -> SessionGroup:
    of_all = {"name": f"h:{role}-{number}", "login": f"wa_{role}", "sessions": 3, "clear": 0}
    host = {"host": "10.0.0.1", "pinned": True} if role == "coreapp" else {}
    return SessionGroup(**of_all | {"unseen": 0, "role": role, "version": "1.0"} | host | other)


COREAPPS = tuple(node("coreapp", number) for number in (1, 2, 3))
OTHERS = (node("webapp"), node("master", 1), node("master", 2))
TRUST = Trust(
    login="wa_reader",
    tls="TLSv1.3",
    programs=(*COREAPPS, *OTHERS),
    logins=tuple(
        DatabaseLogin(name=f"wa_{kind}", superuser=False, owner=False, kinds=(kind,))
        for kind in ("coreapp", "master", "webapp")
    ),
)


def facts(**changed: Any) -> InstallationFacts:
    """An installation where all is well, but for what is changed: ``trust``, ``server`` and
    ``host`` are fields of these, ``environ`` more variables.
    """
    environ = SETTINGS | changed.pop("environ", {})
    trust = msgspec.structs.replace(TRUST, **changed.pop("trust", {}))
    server = msgspec.structs.replace(SERVER, **changed.pop("server", {}))
    database = Database(trust=trust, server=server, **changed.pop("database", {}))
    host = Host(**changed.pop("host", {}))
    right = {"today": date(2026, 11, 29), "version": "1.0", "schema": 29}
    return InstallationFacts(
        settings=load(environ), host=host, database=database, **right | changed
    )


def wrong(found: list[Finding]) -> list[tuple[str, Level]]:
    return [(finding.name, finding.level) for finding in found if finding.level is not Level.OK]


def one_login(
    name: str, *kinds: str, superuser: bool = False, owner: bool = False
) -> dict[str, Any]:
    login = DatabaseLogin(name=name, superuser=superuser, owner=owner, kinds=kinds)
    return {"logins": (login,)}


def secret(**other: Any) -> dict[str, Any]:
    return {"secrets": (FileAccess(name="X_FILE", path="/s/x", **other),)}


def folder(**other: Any) -> dict[str, Any]:
    return {"folders": (FileAccess(name="WAROUTER_MEDIA_DIR", path="/m", **other),)}


def certificate(**other: Any) -> dict[str, Any]:
    return {"certificates": (CertificateDates(name="WAROUTER_TLS_CERT", **other),)}


HTTP = "http://hook.example/"
OPEN = {"WEBAPP_HOSTNAME": "10.0.0.1", "WAROUTER_NO_TLS": "1"}
CLEAR_CLOUD = CLOUD | {"WAROUTER_CLOUD_LISTEN": "0.0.0.0:9095"}
OLD_CLOUD = CLOUD | {"WAROUTER_CLOUD_VERSION": "v21.0"}
ENDED_CLOUD = CLOUD | {"WAROUTER_CLOUD_VERSION": "v20.0"}
BY_VALUE = CLOUD | {"WAROUTER_CLOUD_TOKEN_FILE": "", "WAROUTER_CLOUD_TOKEN": "EAA"}
FAR_SIMULATOR = {"WAROUTER_UPSTREAM_ADDRESS": "sim.internal:6260"}
HIDDEN = (node("webapp", unseen=3), *COREAPPS, *OTHERS[1:])
CLEAR = (node("webapp", clear=2), *COREAPPS, *OTHERS[1:])
BARE = (node("coreapp", 1, pinned=False), *COREAPPS[1:], *OTHERS)
UNPINNED = (node("coreapp", 1, pinned=None), *COREAPPS[1:], *OTHERS)
OLDER_BUILD = (node("webapp", version="0.9"), *COREAPPS, *OTHERS[1:])
ONE_MASTER = (*COREAPPS, *OTHERS[:2])

# name, what is changed, words of the sentence
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("database-clear", {"trust": {"programs": CLEAR}}, "2 of 18 sessions"),
    ("link-clear", {"trust": {"programs": BARE}}, "h:coreapp-1"),
    ("api-clear", {"environ": OPEN}, "10.0.0.1"),
    ("cloud-clear", {"environ": CLEAR_CLOUD}, "0.0.0.0"),
    (
        "console-clear",
        {"environ": {"WAROUTER_CONSOLE_API": "http://api.internal:9090"}},
        "WAROUTER_CONSOLE_API leads to api.internal by plain http",
    ),
    ("webhook-clear", {"database": {"webhook": HTTP}}, "hook.example"),
    ("http-allowed", {"environ": {"WAROUTER_WEBHOOK_ALLOW_HTTP": "1"}}, "webhook"),
    ("http-allowed", {"environ": {"WAROUTER_MEDIA_ALLOW_HTTP": "1"}}, "media"),
    ("simulator-open", {"host": {"simulator_open": ("0.0.0.0",)}}, "0.0.0.0"),
    ("simulator-open", {"environ": FAR_SIMULATOR}, "sim.internal"),
    ("database-unverified", {"database": {"verified": False}}, "db.internal"),
    ("networks-wide", {"environ": {"WAROUTER_ALLOW_PRIVATE": "0.0.0.0/0"}}, "0.0.0.0/0"),
    ("networks-wide", {"environ": {"WAROUTER_ALLOW_PRIVATE": "::/0"}}, "::/0"),
    ("networks-wide", {"environ": {"WAROUTER_MEDIA_ALLOW_PRIVATE": "::/0"}}, "link of every user"),
    ("networks-open", {"environ": {"WAROUTER_ALLOW_PRIVATE": "10.1.2.0/24"}}, "to the webhook"),
    (
        "networks-open",
        {"environ": {"WAROUTER_MEDIA_ALLOW_PRIVATE": "10.1.2.0/24"}},
        "WAROUTER_MEDIA_ALLOW_PRIVATE opens 10.1.2.0/24 to each media link of every user",
    ),
    ("networks-wide", {"environ": {"WAROUTER_ALLOW_PRIVATE": "169.254.0.0/16"}}, "169.254"),
    ("login-owner", {"trust": one_login("wa_webapp", "webapp", owner=True)}, "wa_webapp"),
    ("login-superuser", {"trust": one_login("wa_webapp", "webapp", superuser=True)}, "wa_webapp"),
    ("login-member", {"database": {"members": ("former",)}}, "The login former may do everything"),
    ("login-rights", {"database": {"rights": ("wa_master may log in.",)}}, "wa_master may log in"),
    ("login-shared", {"trust": one_login("wa", "coreapp", "master", "webapp")}, "the login wa"),
    ("password-md5", {"server": {"md5": ("wa_webapp",)}}, "wa_webapp"),
    ("password-md5", {"server": {"password_encryption": "md5"}}, "password_encryption"),
    ("password-default", {"server": {"default_passwords": ("admin",)}}, "admin"),
    (
        "api-key-short",
        {"host": {"api_keys": (32, 12)}},
        "WA_API_KEY_FILE has a key of 12 characters",
    ),
    ("secret-readable", {"host": secret(readable=True)}, "/s/x (X_FILE)"),
    ("file-writable", {"host": secret(writable=True)}, "/s/x (X_FILE)"),
    ("file-writable", {"host": folder(writable=True)}, "/m (WAROUTER_MEDIA_DIR)"),
    ("folder-readable", {"host": folder(readable=True)}, "/m (WAROUTER_MEDIA_DIR)"),
    ("file-unread", {"host": secret(problem="Permission denied")}, "Permission denied"),
    ("secret-in-environment", {"environ": BY_VALUE}, "WAROUTER_CLOUD_TOKEN is"),
    ("certificate-ended", {"host": certificate(ends=-3.0)}, "3 days ago"),
    ("certificate-ends", {"host": certificate(ends=1.0)}, "in 24 hours"),
    ("certificate-ends", {"host": certificate(ends=14.0)}, "in 14 days"),
    ("certificate-early", {"host": certificate(begins=2.0)}, "another 2 days"),
    ("certificate-unfit", {"host": certificate(problem="no key")}, "no key"),
    ("postgres-old", {"server": {"version": "15.14 (Debian 15.14-0+deb12u1)"}}, "15.18"),
    ("schema-newer", {"server": {"schema": 31}}, "migration 31"),
    ("builds-mixed", {"trust": {"programs": OLDER_BUILD}}, "h:webapp-1 run 0.9"),
    ("cloud-version", {"environ": OLD_CLOUD}, "ends on 2027-01-21"),
    ("cloud-version", {"environ": ENDED_CLOUD}, "Meta ended"),
    ("database-unsafe", {"server": {"dangers": ("PostgreSQL's fsync is 'off'.",)}}, "fsync"),
    ("connections-few", {"server": {"max_connections": 30}}, "27 connections"),
    ("connections-few", {"server": {"connections": 90}}, "90 of 97"),
    ("descriptors-few", {"host": {"descriptors": 1024}}, "1,024"),
    ("disk-full", {"host": {"media_free": 1 << 20}}, "1 MiB left"),
    ("quota-wide", {"host": {"media_free": 9 << 30, "media_size": 10 << 30}}, "10.0 GiB"),
    ("quota-wide", {"environ": {"WAROUTER_MEDIA_QUOTA": "0"}}, "no limit"),
    ("database-small", {"server": {"shared_buffers": 1 << 20}}, "shared_buffers is 1 MiB"),
    ("database-small", {"server": {"max_wal_size": 1 << 30}}, "max_wal_size is 1.0 GiB"),
    ("transaction-old", {"server": {"oldest_transaction_s": 3_600.0}}, "pg_dump"),
    ("coreapps-few", {"server": {"shards": 4}}, "3 coreapps run for 4 shards"),
    ("coreapps-no-spare", {"server": {"shards": 3}}, "3 coreapps run for 3 shards"),
    ("masters-few", {"trust": {"programs": ONE_MASTER}}, "One master runs"),
    ("unseen", {"trust": {"programs": HIDDEN}}, "3 of 18 sessions"),
    ("unseen", {"server": {"unseen": ("pg_authid",)}}, "pg_authid"),
    ("unseen", {"database": {"webhook": None}}, "setting"),
    ("unseen", {"trust": {"programs": UNPINNED}}, "node.fingerprint"),
]


def test_where_all_is_well_there_is_an_ok_for_each_rule() -> None:
    found = judged(facts())
    assert wrong(found) == []
    assert [finding.name for finding in found] == [rule.name for rule in RULES]
    assert exit_code(found) == 0


@pytest.mark.parametrize(("name", "changed", "words"), WRONG)
def test_each_fault_gives_exactly_its_finding(
    name: str, changed: dict[str, Any], words: str
) -> None:
    found = judged(facts(**dict(changed)))
    (rule,) = [rule for rule in RULES if rule.name == name]
    assert wrong(found) == [(name, rule.level)]
    assert words in found[0].found
    assert found[0].todo == rule.todo
    assert found[0].found[-1] == "."


def test_a_schema_that_does_not_fit_is_said_without_the_facts_of_the_database() -> None:
    found = judged(msgspec.structs.replace(facts(), database=None, unfit="Run `warouter migrate`."))
    assert wrong(found) == [("schema-unfit", Level.CRITICAL)]
    asked = {rule.name for rule in RULES if rule.database}
    assert asked.isdisjoint(finding.name for finding in found)


class Switched(Settings, frozen=True, kw_only=True):
    """With the switch of TLS, whatever else of it there is."""

    db_ssl: str = msgspec.field(name="WAROUTER_DB_SSL", default="off")


def test_tls_that_is_switched_off() -> None:
    known = {"WA_DB_HOSTNAME": "db.internal"}
    far = msgspec.convert(known, Switched)
    found = judged(msgspec.structs.replace(facts(), settings=far))
    assert wrong(found) == [("database-tls-off", Level.WARNING)]
    near = msgspec.convert(known | {"WA_DB_HOSTNAME": "/run/postgresql"}, Switched)
    assert wrong(judged(msgspec.structs.replace(facts(), settings=near))) == []
    on = msgspec.convert(known | {"WAROUTER_DB_SSL": "verify"}, Switched)
    assert wrong(judged(msgspec.structs.replace(facts(), settings=on))) == []


SAID_ELSEWHERE = {"schema-unfit", "database-tls-off"}


def test_each_rule_is_made_to_find_something() -> None:
    assert {name for name, _, _ in WRONG} | SAID_ELSEWHERE == {rule.name for rule in RULES}


@pytest.mark.parametrize("host", ["", "127.0.0.1", "/run/postgresql", "localhost", "::1"])
def test_connections_on_this_host_need_no_tls(host: str) -> None:
    changed = facts(
        environ={
            "WA_DB_HOSTNAME": host,
            "WAROUTER_NO_TLS": "1",
            "WAROUTER_ALLOW_PRIVATE": "127.0.0.0/8,::1/128,10.0.0.0/8,192.168.0.0/16",
        },
        database={"verified": False, "webhook": "http://127.0.0.1:8000/"},
        trust={"tls": ""},
    )
    assert wrong(judged(changed)) == [("networks-open", Level.NOTE)]


def test_a_link_on_loopback_needs_no_certificate() -> None:
    near = tuple(node("coreapp", n, host="127.0.0.1", pinned=False) for n in (1, 2, 3))
    assert wrong(judged(facts(trust={"programs": (*near, *OTHERS)}))) == []


@pytest.mark.parametrize(
    ("levels", "code"),
    [
        ([], 0),
        ([Level.OK, Level.NOTE], 0),
        ([Level.NOTE, Level.WARNING], 1),
        ([Level.WARNING, Level.UNKNOWN], 3),
        ([Level.UNKNOWN, Level.CRITICAL, Level.WARNING], 2),
    ],
)
def test_exit_codes_are_those_of_monitoring_plug_ins(levels: list[Level], code: int) -> None:
    assert exit_code([Finding("x", level, "") for level in levels]) == code


def test_the_worst_comes_first() -> None:
    found = [Finding(level, level, "") for level in Level]
    assert [finding.name for finding in worst_first([*found, unreachable("Away.")])] == [
        "critical",
        "unknown",
        "database-unreachable",
        "warning",
        "note",
        "ok",
    ]


def test_names_are_words_with_hyphens_and_each_stands_once() -> None:
    counted = Counter(rule.name for rule in RULES)
    assert [name for name, count in counted.items() if count > 1] == []
    assert [name for name in counted if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)] == []


def test_remedies_name_variables_that_exist() -> None:
    known = values_of(load(SETTINGS)).keys() | {"WAROUTER_DB_SSL"}
    named = re.findall(
        r"\b(?:WA|WAROUTER|COREAPP|WEBAPP)_[A-Z_]+\b", " ".join(rule.todo for rule in RULES)
    )
    assert len(named) > 8
    assert set(named) - known == set()


def test_the_table_of_the_page_is_what_the_rules_say() -> None:
    text = documented.PAGE.read_text()
    assert documented.page(text) == text, "run `make docs`"
