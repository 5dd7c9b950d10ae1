"""Secrets that can be told from all else: said at every door of a cluster, and looked for.

A secret that is written in another form counts as found: the ids of Meta's messages (``wamid.``)
hold the customer's number in base64.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import aiohttp

from tests.harness.business import Business

CANARIES = {
    "api key": "canary-apikey-4711",
    "database password": "canary-database-0815",
    "new user's password": "C4nary!user-pass",
    "wrong password": "C4nary!wrong-pass",
    "pin": "735142",
    "provider's bearer": "canary-bearer-2718",
    "provider's password": "canary-basic-3141",
    "webhook's secret": "Y2FuYXJ5LW9mLXRoZS13ZWJob29rLTEyMw==",
    "webhook's header": "canary-header-8452",
    "webhook URL's password": "canary-url-5772",
    "webhook URL's key": "canary-key-6931",
    "backup password": "canary-Backup-1618",
    "text": "canary text of a message",
    "recipient": "4915198765432",
    "sender": "4917098765432",
}


# The API shows them to administrators, who may set them.
OF_THE_URL = {"webhook URL's password", "webhook URL's key"}
SETTINGS = "/v1/settings/application"
WEBHOOK = "/v1/configs/webhook"
_SHOWS_URL = (f"{SETTINGS} for admin", f"{WEBHOOK} for admin")
_WAMID = re.compile(rb"wamid\.([A-Za-z0-9+/]+)")


def found_in(
    places: Mapping[str, bytes], secrets: Iterable[tuple[str, bytes]]
) -> set[tuple[str, str]]:
    """Which secret was found where, however it is written."""
    secrets = list(secrets)
    read = {where: b"\n".join(_forms(said)) for where, said in places.items()}
    return {
        (name, where)
        for where, said in read.items()
        for name, secret in secrets
        if secret in said and not (name in OF_THE_URL and where.startswith(_SHOWS_URL))
    }


def _forms(said: bytes) -> Iterator[bytes]:
    """A text as it is, with what base64 hides in it; the ids may be cut off, or part of a URL."""
    yield said
    for text in {said, unquote_to_bytes(said)}:
        for found in _WAMID.findall(text):
            yield base64.b64decode(found[: len(found) // 4 * 4])


async def provoke(business: Business) -> list[bytes]:
    """Say every canary at every door; everything that was answered to somebody else."""
    cluster, answers = business.cluster, []

    async def call(
        method: str, path: str, json: object = None, *, quotes: bool = False, **more: Any
    ) -> None:
        more.setdefault("headers", business.headers)
        url = cluster.url + path
        async with business.http.request(method, url, json=json, **more) as answer:
            said = await answer.read()
            if not quotes:  # what was sent may come back to who sent it, and to nobody else
                answers.append(said)

    secret = CANARIES
    canary = {"username": "canary", "password": secret["new user's password"]}
    account = {"cc": "1", "phone_number": "6315550000", "pin": secret["pin"]}
    provider = [
        {"name": "a", "type": "www", "config": {"bearer": secret["provider's bearer"]}},
        {
            "name": "b",
            "type": "www",
            "config": {"basic": {"username": "u", "password": secret["provider's password"]}},
        },
    ]
    await call("POST", "/v1/users", canary)
    await call("PUT", "/v1/users/canary", {"password": secret["new user's password"] + "2"})
    wrong = aiohttp.encode_basic_auth("admin", secret["wrong password"])
    await call("POST", "/v1/users/login", headers={"Authorization": wrong})
    for token in ("Bearer " + secret["wrong password"], "Apikey " + secret["wrong password"]):
        await call("GET", "/v1/health", headers={"Authorization": token})
    await call("POST", "/v1/account", {**account, "method": "sms", "cert": "x"})
    await call("POST", "/v1/account/shards", {**account, "shards": 3})
    await call("POST", "/v1/settings/account/two-step", {"pin": secret["pin"]})
    await call("POST", "/v1/settings/application/media/providers", provider)
    signing = {"webhooks": {"secrets": ["whsec_" + secret["webhook's secret"]]}}
    await call("PATCH", "/v1/settings/application", signing)
    hook = urlsplit(business.receiver.url)
    password, key = secret["webhook URL's password"], secret["webhook URL's key"]
    for scheme, place in (("ftp", "a.example"), (hook.scheme, hook.netloc)):  # the first is refused
        url = f"{scheme}://canary:{password}@{place}/?k={key}"
        await call("PATCH", SETTINGS, {"webhooks": {"url": url}})
    header = secret["webhook's header"]
    await call("POST", WEBHOOK, {"url": url, "headers": {"Host": header}})  # is refused
    await call("POST", WEBHOOK, {"url": url, "headers": {"X-Token": header}}, quotes=True)
    await call("PATCH", SETTINGS, {"log_level": key}, quotes=True)
    await call("POST", "/v1/settings/backup", {"password": secret["backup password"]})
    text = {"body": secret["text"]}
    for to in (secret["recipient"], "+" + secret["recipient"], "00" + secret["recipient"]):
        await call("POST", "/v1/messages", {"to": to, "text": text})
    await call("PUT", f"/v1/contacts/{secret['recipient']}/identity", {"hash": "x"})
    inbound = {"from": secret["sender"], "type": "text", "body": secret["text"]}
    async with business.http.post(f"{cluster.control_url}/inbound", json=inbound) as answer:
        assert answer.status == 201
    return answers


def said_by(folder: Path) -> dict[str, bytes]:
    """Logs and command lines of everything that runs here."""
    said = {str(p): p.read_bytes() for p in folder.rglob("*.log")}
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            said[str(entry)] = entry.read_bytes()
        except OSError:  # it has ended
            continue
    return said


def has_no_core(pid: int | None) -> bool:
    """True if this process leaves no core file; one that has ended is to be started again."""
    try:
        limits = Path(f"/proc/{pid}/limits").read_text()
    except OSError:
        return False
    (core,) = [line for line in limits.splitlines() if line.startswith("Max core file")]
    return core.split()[4:6] == ["0", "0"]
