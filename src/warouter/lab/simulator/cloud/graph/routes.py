"""The Graph side: which node and edge a call means.

    POST   /{version}/{number}/messages          messages and read marks (``messages_edge``)
    POST   /{version}/{number}/marketing_messages the same, for accounts that are onboarded
    POST   /{version}/{number}/media             upload (``media_edge``)
    GET    /{version}/{media}                    look up; DELETE
    GET    /{version}/{number}?fields=…          POST: pin, callback of the number (``number_node``)
    POST   /{version}/{number}/request_code, verify_code, register, deregister
    GET    /{version}/{number}/settings, whatsapp_business_profile (``profile_edge``),
           business_compliance_info (``compliance_edge``); POST changes them
    GET    /{version}/{number}/message_history, /{version}/{entry}/events (``history``)
    GET    /{version}/{account}/message_templates, subscribed_apps, phone_numbers (``account_node``)
    POST   /{version}/{app}/uploads              a session (``uploads``), then its content:
    POST   /{version}/upload:…                   GET: how much of it has come
    GET    /{version}/debug_token?input_token=…  app, {app}, {app}/subscriptions (``app_node``)

Every call needs ``Authorization: Bearer``, but for those of a session, which need ``OAuth``, and
the photo's URL, which needs none; errors have Graph's form.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from warouter import background
from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.graph import errors
from warouter.lab.simulator.cloud.graph.account_node import AccountNode, parameters
from warouter.lab.simulator.cloud.graph.app_node import AppNode
from warouter.lab.simulator.cloud.graph.callbacks import CallbackEdge
from warouter.lab.simulator.cloud.graph.callers import CallJudge
from warouter.lab.simulator.cloud.graph.compliance_edge import ComplianceEdge
from warouter.lab.simulator.cloud.graph.connection import JSON, GraphConnection, GraphRequest
from warouter.lab.simulator.cloud.graph.errors import PARAMETER, GraphError
from warouter.lab.simulator.cloud.graph.history import History
from warouter.lab.simulator.cloud.graph.line import GraphLine
from warouter.lab.simulator.cloud.graph.media_edge import CONTENT, Content, MediaEdge, MediaTrouble
from warouter.lab.simulator.cloud.graph.messages_edge import MessagesEdge
from warouter.lab.simulator.cloud.graph.number_node import Given, NumberNode
from warouter.lab.simulator.cloud.graph.profile_edge import PICTURE, ProfileEdge, ProfilePhoto
from warouter.lab.simulator.cloud.graph.uploads import PREFIX, UploadSessions

log = logging.getLogger(__name__)

_VERSION = re.compile(r"v[0-9]{1,2}\.[0-9]")
Handler = Callable[[Given], Given | Awaitable[Given]]


class Nodes(NamedTuple):
    """The nodes that can be asked, apart from messages."""

    number: NumberNode
    account: AccountNode
    app: AppNode
    callbacks: CallbackEdge
    profile: ProfileEdge
    compliance: ComplianceEdge
    uploads: UploadSessions
    media: MediaEdge
    history: History

    def handlers(self, facts: CloudFacts) -> dict[tuple[str, str, str], Handler]:
        """The handlers by method, node and edge."""
        number, account, app = self.number, self.account, self.app
        node, waba = facts.phone_number_id, facts.waba_id
        return {
            ("GET", node, ""): number.fields,
            ("POST", node, ""): self.callbacks.post_number,
            ("POST", node, "request_code"): number.request_code,
            ("POST", node, "verify_code"): number.verify_code,
            ("POST", node, "register"): number.register,
            ("POST", node, "deregister"): number.deregister,
            ("GET", node, "message_history"): self.history.listed,
            ("GET", node, "settings"): number.get_settings,
            ("POST", node, "settings"): number.set_settings,
            ("GET", node, "whatsapp_business_profile"): self.profile.fields,
            ("POST", node, "whatsapp_business_profile"): self.profile.change,
            ("GET", node, "business_compliance_info"): self.compliance.fields,
            ("POST", node, "business_compliance_info"): self.compliance.change,
            ("GET", waba, ""): account.fields,
            ("GET", waba, "phone_numbers"): account.phone_numbers,
            ("GET", waba, "subscribed_apps"): account.apps,
            ("POST", waba, "subscribed_apps"): self.callbacks.subscribe,
            ("DELETE", waba, "subscribed_apps"): self.callbacks.unsubscribe,
            ("GET", waba, "message_templates"): account.templates,
            ("POST", waba, "message_templates"): account.make_template,
            ("DELETE", waba, "message_templates"): account.delete_template,
            ("GET", "app", ""): app.fields,
            ("GET", facts.app_id, ""): app.fields,
            ("POST", facts.app_id, "uploads"): self.uploads.begin,
            ("GET", facts.app_id, "subscriptions"): app.subscriptions,
            ("GET", "debug_token", ""): app.debug_token,
        }


_EDGES = ("messages", "marketing_messages")


class GraphRouter:
    """Takes every request of every connection."""

    def __init__(
        self,
        facts: CloudFacts,
        line: GraphLine[GraphConnection],
        switches: Callable[[], CloudFaults],
        callers: CallJudge,
        messages: MessagesEdge,
        nodes: Nodes,
        trace: Callable[[], str],
    ) -> None:
        self._facts = facts
        self._line = line
        self._switches = switches
        self._callers = callers
        self._messages = messages
        self._nodes = nodes
        self._media = nodes.media
        self._trace = trace
        self._tasks: set[asyncio.Task[None]] = set()
        self._handlers = nodes.handlers(facts)

    def handle(self, connection: GraphConnection, request: GraphRequest) -> None:
        """Answer one request, now or later."""
        try:
            path = request.target.split("?", 1)[0]
            by_app = path != PICTURE and self._callers.is_app(request)
            _, node, edge = _split(path)
            self._callers.check(by_app, node, edge)
            if (request.method, node) == ("POST", self._facts.phone_number_id) and edge in _EDGES:
                self._check_registered()
                if edge == "marketing_messages" and self._switches().marketing != "ONBOARDED":
                    raise GraphError(131055, "The account is not onboarded.")
                self._messages.handle(connection, request.body, request.begun, request.begun_wall)
                return
        except GraphError as error:
            self._line.when_open(partial(self._refuse, connection, error))
            return
        failed = partial(_failed, connection)
        task = background.begin(self._call(connection, request, node, edge), failed)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()

    async def _call(
        self, connection: GraphConnection, request: GraphRequest, node: str, edge: str
    ) -> None:
        try:
            answer = await self._answer(request, node, edge)
            if isinstance(answer, Content):
                body, kind = await asyncio.to_thread(answer.path.read_bytes), answer.mime
            elif isinstance(answer, ProfilePhoto):
                body, kind = answer.content, answer.mime
            else:
                body, kind = msgspec.json.encode(answer), JSON
            self._line.when_open(partial(_say, connection, 200, body, kind))
        except GraphError as error:
            self._line.when_open(partial(self._refuse, connection, error))
        except FileNotFoundError:
            self._line.when_open(partial(_say, connection, 404, b"", "text/plain"))
        except MediaTrouble as trouble:
            self._line.when_open(partial(_say, connection, trouble.status, b"", "text/plain"))

    async def _answer(
        self, request: GraphRequest, node: str, edge: str
    ) -> Given | Content | ProfilePhoto:
        url = urlsplit(request.target)
        query = parse_qs(url.query)
        kind = request.fields.get(b"content-type", b"")
        if url.path == CONTENT:
            await self._media_trouble()
            return self._content(query)
        if url.path == PICTURE:
            return self._nodes.profile.picture(query.get("key", [""])[-1])
        if node.startswith(PREFIX):
            return self._upload(request, node, query)
        if node == self._facts.phone_number_id and edge == "media" and request.method == "POST":
            await self._media_trouble()
            return await self._media.upload(request.body, kind.decode(errors="replace"))
        given = parameters(query, request.body, kind)
        key = (request.method, node, edge)
        if handler := self._handlers.get(key):
            answer = handler(given)
            return answer if isinstance(answer, dict) else await answer
        if (request.method, edge) == ("GET", "events"):
            events = self._nodes.history.events(node, given)
            if events is not None:
                return events
        return await self._of_media(request.method, node, edge)

    def _upload(self, request: GraphRequest, id: str, query: dict[str, list[str]]) -> Given:
        given = {name: values[-1] for name, values in query.items()}
        if request.method == "GET":
            return self._nodes.uploads.progress(id, given)
        offset = request.fields.get(b"file_offset", b"").decode(errors="replace")
        return self._nodes.uploads.take(id, given, offset, request.body)

    async def _of_media(self, method: str, id: str, edge: str) -> Given:
        if edge or method not in ("GET", "DELETE"):
            raise GraphError(PARAMETER, f"Unsupported {method.lower()} request.")
        await self._media_trouble()
        return self._media.look_up(id) if method == "GET" else self._media.delete(id)

    async def _media_trouble(self) -> None:
        faults = self._switches()
        if faults.media_ms:
            await asyncio.sleep(faults.media_ms / 1000)
        if faults.media_status:
            raise MediaTrouble(faults.media_status)

    def _content(self, query: dict[str, list[str]]) -> Content:
        found = self._media.content(query.get("hash", [""])[-1])
        if found is None:
            raise FileNotFoundError
        return found

    def _check_registered(self) -> None:
        if not self._nodes.number.registered:
            raise GraphError(133010)

    def _refuse(self, connection: GraphConnection, error: GraphError) -> None:
        body = errors.answer(error.code, error.details, self._trace())
        _say(connection, errors.status_of(error.code), body, JSON)


def tracer(random: Random) -> Callable[[], str]:
    """Draws fbtrace_ids."""
    return lambda: "A" + "".join(random.choices(_TRACE, k=22))


_TRACE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


def _split(path: str) -> tuple[str, str, str]:
    """Version, node and edge of a path."""
    if path in (CONTENT, PICTURE):
        return "", "", ""
    parts = path.strip("/").split("/")
    if not 2 <= len(parts) <= 3 or _VERSION.fullmatch(parts[0]) is None:
        raise GraphError(PARAMETER, f"Unknown path components: {path}")
    return parts[0], parts[1], parts[2] if len(parts) == 3 else ""


def _say(connection: GraphConnection, status: int, body: bytes, kind: str) -> None:
    if connection.is_open:
        connection.answer(status, body, kind)


def _failed(connection: GraphConnection, error: Exception) -> None:
    log.error("Graph call failed", exc_info=error)
    connection.reset()
