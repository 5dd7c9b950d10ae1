"""Prepares a cluster of containers that sends to the simulator: `compose.yaml`.

``python -m warouter.local.staging draw FOLDER`` writes the secrets of all services, those that are
not there yet, into a folder for each of them; each container sees its own folder only.
``... seed FOLDER`` gives a migrated database its administrator, its number and its first shards,
and writes cluster.json for `warouter demo`. Both are safe to repeat.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from warouter.config import load
from warouter.errors import CommandError, ConfigError
from warouter.local import cloud_emulator
from warouter.local.cluster import SAMPLE
from warouter.local.description import write_description
from warouter.local.environment import outer_settings
from warouter.local.secrets import keep
from warouter.local.seed import first_seed, seed_number, use_upstream
from warouter.tls.certificate import self_signed

SHARDS = 2
CONSOLE = "warouter_console"
# Of a service that has a login in PostgreSQL: `warouter migrate --roles --password-dir` reads them
# all in one folder.
LOGINS = ("webapp", "coreapp", "master")
# By folder: certificates for the names that a service is called by.
NAMES = {
    "webapp": ("webapp", "localhost", "127.0.0.1"),
    "web-console": ("localhost", "127.0.0.1"),
    "cloud": ("simulator",),
}
SYSTEM_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
FOR_THE_GROUP = 0o440  # which PostgreSQL's and Prometheus's accounts are in


def draw(folder: Path) -> None:
    """Write what is missing. CommandError if the folders cannot be written."""
    admin = folder / "admin"
    try:
        _once(admin / "postgres.password", secrets.token_urlsafe(32))
        for kind in (*LOGINS, "console", "reader", "web_console"):
            _once(admin / f"{kind}.password", secrets.token_urlsafe(32))
        for kind in LOGINS:
            _copy(admin / f"{kind}.password", folder / kind / "db-password")
        _copy(admin / "console.password", folder / "demo" / "db-password")
        _copy(admin / "web_console.password", folder / "web-console" / "db-password")
        for name in cloud_emulator.SECRETS:
            _once(folder / "cloud" / name.lower().replace("_", "-"), secrets.token_hex(24))
        for kind, hosts in NAMES.items():
            _certificate(folder / kind, hosts)
        for name in ("api-key", "grafana-password"):
            _once(folder / "monitoring" / name, secrets.token_urlsafe(32))
        for kind in ("monitoring", "web-console"):
            _copy(folder / "webapp" / "tls.crt", folder / kind / "webapp.crt")
        _authorities(folder / "cloud")
    except OSError as error:
        raise CommandError(
            f"The secrets cannot be written to {folder} ({error}): its folders must belong to the"
            " account of this container."
        ) from error


async def seed(folder: Path, environ: Mapping[str, str]) -> None:
    """Give the database what the first message needs, and say where everything is."""
    settings = load(environ)
    await use_upstream(settings)
    path = folder / "admin" / "admin-password"
    known = path.read_text().strip() if path.exists() else ""
    password = await first_seed(settings, SHARDS, known)
    if not known:
        keep(path, password)
    cert, key = cloud_emulator.own_certificate(folder / "demo", "".join(SAMPLE))
    await seed_number(settings, *SAMPLE, cert, key)
    described = msgspec.json.encode(description(folder, environ, password, cert))
    write_description(folder / "demo", msgspec.json.format(described).decode())


def description(
    folder: Path, environ: Mapping[str, str], password: str, cert: str
) -> dict[str, Any]:
    """cluster.json of a cluster whose processes are all in other containers: it names none."""
    database = {
        name: environ[name] for name in environ if name.startswith(("WA_DB_", "WAROUTER_DB_"))
    }
    return {
        "url": environ.get("WAROUTER_PUBLIC_URL", "https://webapp:9090"),
        "user": "admin",
        "password": password,
        "cc": SAMPLE.cc,
        "phone_number": SAMPLE.phone_number,
        "cert": cert,
        # Of the container that shares the simulator's network.
        "simulator": {"control_url": "http://127.0.0.1:6261"},
        "processes": [],
        "logins": {},
        "environment": {
            **outer_settings(environ),
            **database,
            "WAROUTER_UPSTREAM": "cloud",
            "WA_DB_USERNAME": CONSOLE,
            "WA_DB_PASSWORD_FILE": str(folder / "demo" / "db-password"),
        },
    }


def _once(path: Path, value: str) -> None:
    """A secret that was drawn once stays."""
    if not path.exists():
        _write(path, value)


def _write(path: Path, value: str) -> None:
    new = path.with_name(f"{path.name}.new")
    keep(new, value)
    new.chmod(FOR_THE_GROUP)
    new.replace(path)  # whole, or not there


def _copy(source: Path, path: Path) -> None:
    if not path.exists():
        _once(path, source.read_text().strip())


def _certificate(folder: Path, hosts: tuple[str, ...]) -> None:
    """A pair, the certificate last: it counts only once its key is there."""
    if (folder / "tls.crt").exists():
        return
    certificate, key = self_signed(hosts[0], hosts)
    _write(folder / "tls.key", key.decode().strip())
    _write(folder / "tls.crt", certificate.decode().strip())


def _authorities(folder: Path) -> None:
    """Write the authorities of the image and the simulator, anew each time: it may be newer."""
    known = SYSTEM_AUTHORITIES.read_text() if SYSTEM_AUTHORITIES.exists() else ""
    _write(folder / "authorities.crt", known + (folder / "tls.crt").read_text().strip())


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[0] not in ("draw", "seed"):
        print("usage: python -m warouter.local.staging draw|seed FOLDER", file=sys.stderr)
        return 2
    action, folder = arguments[0], Path(arguments[1])
    try:
        if action == "draw":
            draw(folder)
        else:
            asyncio.run(seed(folder, os.environ))
    except (CommandError, ConfigError) as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, asyncpg.PostgresError) as error:
        print(f"The cluster cannot be seeded ({error}): check WA_DB_*.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
