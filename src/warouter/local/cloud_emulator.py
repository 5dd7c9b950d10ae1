"""A local cluster's side of the Cloud API: its variables and its emulator.

The secrets of the emulator are drawn once, and have files of their own.
"""

from __future__ import annotations

import secrets
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path

from warouter.local.secrets import keep
from warouter.upstream import authority

SECRETS = ("TOKEN", "APP_SECRET", "VERIFY_TOKEN")
PREFIX = "WAROUTER_CLOUD_"
# The emulator's own: any digits.
PHONE_NUMBER_ID, WABA_ID = "106540352242922", "102290129340398"


def emulated(folder: Path, graph_port: int, *, tls: bool = False) -> dict[str, str]:
    """Variables of a cluster whose Graph API is the emulator at this port of loopback."""
    variables = {
        f"{PREFIX}PHONE_NUMBER_ID": PHONE_NUMBER_ID,
        f"{PREFIX}WABA_ID": WABA_ID,
        f"{PREFIX}BASE_URL": f"{'https' if tls else 'http'}://127.0.0.1:{graph_port}",
    }
    for name in SECRETS:
        path = folder / f"emulator-{name.lower().replace('_', '-')}"
        if not path.exists():
            keep(path, secrets.token_hex(24))
        variables[f"{PREFIX}{name}_FILE"] = str(path)
    return variables


def listening(variables: Mapping[str, str], webapp: int) -> tuple[str, int] | None:
    """Where a webapp (from 1) listens by ``WAROUTER_CLOUD_LISTEN``: the first at its port, each
    next one at the next port. None if it is not set.
    """
    host, _, port = variables.get(f"{PREFIX}LISTEN", "").rpartition(":")
    if not (host and port.isdecimal()):
        return None
    return host, int(port) + webapp - 1


def webhook_url(host: str, port: int, *, tls: bool = False) -> str:
    """Where a webapp that listens there takes webhooks."""
    return f"{'https' if tls else 'http'}://{host}:{port}/cloud/webhook"


def arguments(
    graph_port: int,
    control_port: int,
    host: str,
    webhooks: Sequence[str],
    number: str,
    faults: Sequence[str] = (),
) -> list[str]:
    """The command of the emulator."""
    return [
        *("simulator", "--cloud", "--host", host, "--port", str(graph_port)),
        *("--control-port", str(control_port), "--number", number),
        *(part for url in webhooks for part in ("--webhook-url", url)),
        *(part for fault in faults for part in ("--fault", fault)),
    ]


def own_certificate(folder: Path, number: str) -> tuple[str, str]:
    """A certificate of the number (digits) and the public key that it is checked with, in base64.

    The Cloud API has none: those of v1 are checked for their form, and against what is here.
    """
    key = authority.kept_key(folder / "authority.key")
    now = int(time.time())
    certificate = authority.NumberCertificate(number, "warouter", now, now + authority.VALID_S)
    public_key = b64encode(authority.public_bytes(key)).decode()
    return authority.issue(key, certificate), public_key
