"""The business in the demo: an API client that logs in and
sends, and a webhook that records callbacks.

Nothing here knows anything of the cluster but its URL and its credentials.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
from aiohttp import web

from warouter.errors import CommandError

# Longer than a webapp holds a request (WAROUTER_HOLD), so that its answer is heard.
ANSWER_SECONDS = 30.0
SHARDS_SECONDS = 60.0
AGAIN_SECONDS = 0.1
_ID = re.compile(r"[A-Za-z0-9_-]{27}")
_JSON = {"Content-Type": "application/json"}


class SendOutcome(msgspec.Struct, frozen=True):
    """The outcome of one message: ``id`` of a 201, else ``status`` (0: no response) and ``error``.

    ``doubtful`` is the id that an error named: its outcome is unknown.
    """

    id: str = ""
    status: int = 0
    error: str = ""
    doubtful: str = ""


class Business:
    """A client of the v1 API; it keeps as many connections as it has open requests."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url
        self._login = "Basic " + b64encode(f"{user}:{password}".encode()).decode()
        # The certificate of `warouter up` is self-signed, as the original product's was.
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=False),
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
        )
        self._headers = dict(_JSON)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.close()

    async def login(self) -> None:
        """Exchange Basic credentials for a token, which all later calls use."""
        headers = {"Authorization": self._login}
        answer = await self._call("POST", "/v1/users/login", headers=headers)
        self._headers["Authorization"] = f"Bearer {answer['users'][0]['token']}"

    async def settings(self) -> dict[str, Any]:
        answer = await self._call("GET", "/v1/settings/application")
        settings: dict[str, Any] = answer["settings"]["application"]
        return settings

    async def change_settings(self, fields: dict[str, Any]) -> None:
        await self._call("PATCH", "/v1/settings/application", fields)

    async def set_shards(self, cc: str, phone_number: str, shards: int, cert: str) -> list[str]:
        """Change the number of shards; returns the warnings once the new map is in force."""
        wish = {"cc": cc, "phone_number": phone_number, "shards": shards, "cert": cert}
        answer = await self._call("POST", "/v1/account/shards", wish, within=SHARDS_SECONDS)
        warnings: list[str] = answer["meta"].get("warnings", [])
        return warnings

    async def send(self, recipient: str, text: str) -> SendOutcome:
        """Send one text message. Only a refused connection is
        retried: nothing had been sent then.
        """
        message = {"to": recipient, "type": "text", "text": {"body": text}}
        body = msgspec.json.encode(message)
        try:
            return await self._post(body)
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(AGAIN_SECONDS)
        except (aiohttp.ClientError, TimeoutError) as error:
            return SendOutcome(error=str(error) or type(error).__name__)
        try:
            return await self._post(body)
        except (aiohttp.ClientError, TimeoutError) as error:
            return SendOutcome(error=str(error) or type(error).__name__)

    async def _post(self, body: bytes) -> SendOutcome:
        async with self._http.post(
            f"{self._url}/v1/messages", data=body, headers=self._headers
        ) as answer:
            content = await answer.read()
        if answer.status == 201:
            return SendOutcome(id=msgspec.json.decode(content)["messages"][0]["id"], status=201)
        error = _details(content) or answer.reason or ""
        found = _ID.search(error)
        return SendOutcome(
            status=answer.status, error=error, doubtful=found.group() if found else ""
        )

    async def _call(
        self,
        method: str,
        path: str,
        content: object = None,
        *,
        headers: dict[str, str] | None = None,
        within: float = ANSWER_SECONDS,
    ) -> dict[str, Any]:
        try:
            async with self._http.request(
                method,
                self._url + path,
                data=None if content is None else msgspec.json.encode(content),
                headers=headers or self._headers,
                timeout=aiohttp.ClientTimeout(total=within),
            ) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise CommandError(
                f"{self._url} does not answer ({error or type(error).__name__}):"
                " is `warouter up` running there?"
            ) from error
        if answer.status >= 300:
            raise CommandError(f"{method} {path} was answered {answer.status}: {_details(body)}.")
        result: dict[str, Any] = msgspec.json.decode(body)
        return result


class DemoWebhook:
    """A webhook on a free port that records every callback in the order of arrival.

    ``host`` is this machine's name or address for coreapps. ``statuses`` are (message id, status),
    ``inbound`` (sender, message id), each repeat included.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self.statuses: list[tuple[str, str]] = []
        self.inbound: list[tuple[str, str]] = []
        self.different_statuses: set[tuple[str, str]] = set()
        self.different_inbound: set[tuple[str, str]] = set()
        self.url = ""
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/webhook", self._on_callback)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, 0).start()
        except OSError as error:
            raise CommandError(
                f"The webhook cannot listen at {self._host} ({error.strerror or error}): give"
                " --webhook-host a name or an address of this machine."
            ) from error
        self.url = f"http://{self._host}:{self._runner.addresses[0][1]}/webhook"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def _on_callback(self, request: web.Request) -> web.Response:
        content = msgspec.json.decode(await request.read())
        statuses = [(s["id"], s["status"]) for s in content.get("statuses", ())]
        inbound = [(m["from"], m["id"]) for m in content.get("messages", ())]
        self.statuses += statuses
        self.inbound += inbound
        self.different_statuses.update(statuses)
        self.different_inbound.update(inbound)
        return web.Response()


def _details(body: bytes) -> str:
    """The details of an error response, or ""."""
    try:
        error = msgspec.json.decode(body)["errors"][0]
        return str(error.get("details") or error["title"])
    except (msgspec.DecodeError, KeyError, IndexError, TypeError):
        return ""
