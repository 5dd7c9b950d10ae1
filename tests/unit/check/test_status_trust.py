"""The line `trust` of `warouter status`."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from warouter.cli.status_facts import trust_fact
from warouter.store.views.sessions import DatabaseLogin, SessionGroup, Trust

ALL = ("coreapp", "master", "webapp")


def node(role: str, **other: Any) -> SessionGroup:
    of_all = {"name": role, "login": "wa", "sessions": 4, "clear": 0, "unseen": 0, "role": role}
    return SessionGroup(**of_all | {"host": "127.0.0.1"} | other)


def login(name: str, *kinds: str, superuser: bool = False, owner: bool = False) -> DatabaseLogin:
    return DatabaseLogin(name=name, superuser=superuser, owner=owner, kinds=kinds)


ONE = Trust(
    login="wa",
    tls="",
    database_tls="verified",
    programs=tuple(node(role) for role in ALL),
    logins=(login("wa", *ALL),),
)
FAR = tuple(node(role, host="10.0.0.1", pinned=True) for role in ALL)
BARE = tuple(node(role, host="10.0.0.1", clear=1) for role in ALL)
UNSEEN = (node("coreapp", unseen=4, host="10.0.0.1", pinned=True), *FAR[1:])


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (
            {},
            "one login for all (wa) · database TLS verified · all sessions in TLS or local ·"
            " links on this host · run warouter check",
        ),
        (
            {
                "logins": (login("postgres", *ALL, superuser=True),),
                "programs": BARE,
                "database_tls": "off (WAROUTER_DB_SSL=off)",
            },
            "one login for all (postgres, a superuser) · database TLS off (WAROUTER_DB_SSL=off) ·"
            " 3 of 12 sessions without TLS · 1 link without TLS · run warouter check",
        ),
        (
            {
                "logins": (login("a", "coreapp"), login("b", "master", "webapp", owner=True)),
                "programs": FAR,
            },
            "logins a of coreapp, b, the schema's owner of master and webapp · database TLS"
            " verified · all sessions in TLS or local · links TLS pinned · run warouter check",
        ),
        (
            {"programs": UNSEEN, "logins": ()},
            "database TLS verified · 4 of 12 sessions not shown to wa · links TLS pinned ·"
            " run warouter check",
        ),
        (
            {"programs": (node("coreapp", host="10.0.0.1", pinned=None),)},
            "one login for all (wa) · database TLS verified · all sessions in TLS or local ·"
            " links not shown to wa · run warouter check",
        ),
        (
            {"logins": tuple(login(f"wa_{kind}", kind) for kind in ALL)},
            "a login for each kind of process · database TLS verified · all sessions in TLS or"
            " local · links on this host · run warouter check",
        ),
        (
            {"programs": (), "logins": ()},
            "database TLS verified · all sessions in TLS or local · run warouter check",
        ),
    ],
)
def test_the_line(changed: dict[str, Any], line: str) -> None:
    assert trust_fact(msgspec.structs.replace(ONE, **changed)) == line
