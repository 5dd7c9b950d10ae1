"""Machines as docs/installation.md has them, in one cloud-init file: the package, logins by kind of
process, secrets as systemd's credentials, the shipped units.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from trustme import CA

from tests.deploy.database import ADMIN, AUTHORITY, KINDS, Database
from tests.deploy.doors import Door
from tests.deploy.network import NETWORK
from tests.harness.certificates import issued, text_of

CREDENTIALS = Path(__file__).parents[2] / "deploy" / "systemd" / "credentials"
API_PORT, LINK_PORT = 9090, 6249  # coreapp-1 listens on the port after it
API_KEY = "the-key-of-the-site"
_SECRETS = "/etc/warouter/secrets"
_DEB = "/root/warouter.deb"


class Installation:
    """What every machine of a site is given; ``text`` is the user data of one."""

    def __init__(
        self, database: Database, door: Door, authority: CA, served: str, package: Path
    ) -> None:
        """``served`` is the URL of the folder in which machines find ``package``."""
        self._database = database
        self._door = door
        self._authority = authority
        self._url = f"{served}/{package.name}"
        self._sum = hashlib.sha256(package.read_bytes()).hexdigest()

    def text(self, address: str, coreapps: int, *, migrates: bool = False) -> str:
        """``migrates``: it makes the schema and its logins."""
        files = {**self._secret_files(address), **self._shared(address, coreapps)}
        commands = [
            ["sh", "-c", f"{_fetch(self._url)} && echo '{self._sum}  {_DEB}' | sha256sum --check"],
            ["dpkg", "--force-confold", "--install", _DEB],
            *([["sh", "-c", self._migration()]] if migrates else []),
            ["systemctl", "daemon-reload"],
            ["systemctl", "enable", "--now", "--no-block", *units(coreapps)],
        ]
        found = {
            "write_files": [
                {"path": path, "content": content, "permissions": mode}
                for path, (content, mode) in files.items()
            ],
            "runcmd": commands,
        }
        return "#cloud-config\n" + json.dumps(found, indent=1)

    def _migration(self) -> str:
        """As an administrator, who is the owner of the database here."""
        login = f"WA_DB_USERNAME={ADMIN} WA_DB_PASSWORD={self._database.passwords['admin']}"
        commands = ["set -ae", ". /etc/warouter/warouter.env", login]
        commands += ["warouter migrate --roles --password-dir /etc/warouter/passwords"]
        return "; ".join(commands)

    def _secret_files(self, address: str) -> dict[str, tuple[str, str]]:
        pair = issued(self._authority, name=address)
        found = {
            "/etc/warouter/tls.crt": (pair.pem, "0600"),
            "/etc/warouter/tls.key": (pair.key, "0600"),
            f"{_SECRETS}/api-key": (API_KEY, "0600"),
            AUTHORITY: (text_of(self._authority), "0644"),
        }
        for kind in KINDS:
            path = f"/etc/warouter/passwords/{kind}.password"
            found[path] = (self._database.passwords[kind], "0600")
        return found

    def _shared(self, address: str, coreapps: int) -> dict[str, tuple[str, str]]:
        variables = {
            **self._database.seen_from_machines(),
            **self._door.variables,
            "WA_APP_MULTICONNECT": "1",
            "WAROUTER_SHARDS_CERT": "never",
            "WAROUTER_WEBHOOK_ALLOW_HTTP": "1",
            "WAROUTER_ALLOW_PRIVATE": f"{NETWORK}.0/24",
            "COREAPP_HOSTNAME": address,
            "WEBAPP_HOSTNAME": address,
        }
        found = {"/etc/warouter/warouter.env": (_environment(variables), "0600")}
        for number in range(1, coreapps + 1):
            port = {"COREAPP_EXTERNAL_PORTS": str(LINK_PORT + number)}
            found[f"/etc/warouter/coreapp-{number}.env"] = (_environment(port), "0600")
        for kind in ("webapp", "coreapp", "master"):
            found[_drop_in(kind)] = (_credentials(kind, kind), "0644")
        return found


def console_files(address: str) -> dict[str, str]:
    """What a machine with a console needs beside the rest."""
    api = {
        "WAROUTER_CONSOLE_API": f"https://{address}:{API_PORT}",
        "WAROUTER_CONSOLE_API_CA": AUTHORITY,
    }
    return {
        "/etc/warouter/console-1.env": _environment(api),
        _drop_in("console"): _credentials("console", "web_console"),
    }


def units(coreapps: int) -> list[str]:
    """Those of one machine."""
    numbered = [f"warouter-coreapp@{number}" for number in range(1, coreapps + 1)]
    return [*numbered, "warouter-master@1", "warouter-webapp@1"]


def _drop_in(kind: str) -> str:
    return f"/etc/systemd/system/warouter-{kind}@.service.d/credentials.conf"


def _credentials(kind: str, login: str) -> str:
    """The shipped drop-in, edited: each kind has a login of its own."""
    shipped = (CREDENTIALS / f"{kind}.conf").read_text()
    own = shipped.replace(f"{_SECRETS}/db-password", f"/etc/warouter/passwords/{login}.password")
    assert own != shipped
    return own + f"\n[Service]\nEnvironment=WA_DB_USERNAME=warouter_{login}\n"


def _environment(variables: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in variables.items())


def _fetch(url: str) -> str:
    """With what every Debian with cloud-init has."""
    code = f'import urllib.request as u; u.urlretrieve("{url}", "{_DEB}")'
    return f"python3 -c '{code}'"
