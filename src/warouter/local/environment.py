"""The environment of a local cluster's processes, and the address of its database."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import msgspec

from warouter.config import Settings
from warouter.tls.certificate import self_signed

# What a cluster decides by itself, whatever the outer environment says; its database is looked at
# apart.
_DECIDED = (
    "WA_DB_",
    "WAROUTER_DB_",
    "WAROUTER_NODE",
    "WAROUTER_PUBLIC_PORT",
    "WAROUTER_TLS_",
    "WAROUTER_NO_TLS",
    "WAROUTER_UPSTREAM",
)


def outer_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings of ``environ`` that hold for every process of a cluster."""
    names = (field.encode_name for field in msgspec.structs.fields(Settings))
    ours = (name for name in names if name.startswith(("WA_", "WAROUTER_")))
    return {n: environ[n] for n in ours if environ.get(n) and not n.startswith(_DECIDED)}


def of_child(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child: ``settings``, and all of ours that is no setting of warouter."""
    ours = ("WA_", "WAROUTER_", "NOTIFY")
    outer = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**outer, **settings}


def of_simulator(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of the simulator, which has no business with the database or the API key."""
    mine = ("WAROUTER_CLOUD_", "WAROUTER_LOG_")
    return of_child({name: value for name, value in settings.items() if name.startswith(mine)})


def public_certificate(folder: Path) -> dict[str, str]:
    """Settings of a webapp's certificate, which is made when ``folder`` has none."""
    cert, key = folder / "tls.crt", folder / "tls.key"
    if not cert.exists():
        cert_pem, key_pem = self_signed("localhost", ["localhost", "127.0.0.1", "::1"])
        cert.write_bytes(cert_pem)
        key.touch(mode=0o600)
        key.write_bytes(key_pem)
    return {"WAROUTER_TLS_CERT": str(cert), "WAROUTER_TLS_KEY": str(key)}


def dsn_of(settings: Settings) -> str:
    """The database that somebody else runs, as psql takes it; without its password."""
    hosts = ",".join(quote(host, safe="") for host, _ in settings.db_servers)
    ports = ",".join(str(port) for _, port in settings.db_servers)
    several = "&target_session_attrs=read-write" if len(settings.db_servers) > 1 else ""
    where = f"host={hosts}&port={ports}{several}"
    return f"postgresql://{quote(settings.db_username, safe='')}@/{settings.database}?{where}"
