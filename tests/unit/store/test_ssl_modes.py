"""Which servers must be verified, by their hosts alone."""

from __future__ import annotations

import pytest

from warouter.config import load
from warouter.errors import ConfigError
from warouter.store.transport.modes import Mode, described, ssl_mode

CA = {"WA_DB_SSL_CA": "/etc/ca.pem"}
OFF = {"WAROUTER_DB_SSL": "off"}


@pytest.mark.parametrize(
    ("host", "by_default", "with_ca", "off"),
    [
        ("db.example.com", Mode.VERIFIED, Mode.VERIFIED, Mode.OFF),
        ("10.0.0.5", Mode.VERIFIED, Mode.VERIFIED, Mode.OFF),
        ("0.0.0.0", Mode.VERIFIED, Mode.VERIFIED, Mode.OFF),
        ("fd00::5", Mode.VERIFIED, Mode.VERIFIED, Mode.OFF),
        ("localhost.example.com", Mode.VERIFIED, Mode.VERIFIED, Mode.OFF),
        ("127.0.0.1.example.com", Mode.VERIFIED, Mode.VERIFIED, Mode.OFF),
        ("localhost", Mode.LOOPBACK, Mode.VERIFIED, Mode.LOOPBACK),
        ("127.0.0.1", Mode.LOOPBACK, Mode.VERIFIED, Mode.LOOPBACK),
        ("127.8.0.1", Mode.LOOPBACK, Mode.VERIFIED, Mode.LOOPBACK),
        ("::1", Mode.LOOPBACK, Mode.VERIFIED, Mode.LOOPBACK),
        ("/run/postgresql", Mode.SOCKET, Mode.SOCKET, Mode.SOCKET),
    ],
)
def test_servers_off_the_host_are_verified(
    host: str, by_default: Mode, with_ca: Mode, off: Mode
) -> None:
    assert ssl_mode(load({}), host) is by_default
    assert ssl_mode(load(CA), host) is with_ca
    assert ssl_mode(load(OFF), host) is off


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"WA_DB_HOSTNAME": "db-a,db-b"}, "verified"),
        ({"WA_DB_HOSTNAME": "db-a,db-b"} | OFF, "off (WAROUTER_DB_SSL=off)"),
        ({"WA_DB_HOSTNAME": "/run/pg"}, "socket"),
        ({"WA_DB_HOSTNAME": "127.0.0.1"}, "loopback"),
        ({"WA_DB_HOSTNAME": "db,/run/pg"}, "db:5432 verified, /run/pg:5432 socket"),
    ],
)
def test_status_names_the_modes_of_all_hosts(environ: dict[str, str], text: str) -> None:
    assert described(load(environ)) == text


@pytest.mark.parametrize("value", ["maybe", "require", "OFF", "0"])
def test_other_ssl_modes_are_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=rf"WAROUTER_DB_SSL is '{value}'; .*verify or off"):
        load({"WAROUTER_DB_SSL": value})


def test_off_with_an_authority_is_refused() -> None:
    with pytest.raises(ConfigError, match="WAROUTER_DB_SSL is off, yet WA_DB_SSL_CA is set"):
        load(OFF | CA)
    load({"WAROUTER_DB_SSL": "verify"} | CA)
