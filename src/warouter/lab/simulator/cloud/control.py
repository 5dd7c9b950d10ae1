"""The control port of the Cloud door: JSON over HTTP on loopback, as that of the native one.

    GET    /              what this is, who is connected, which timed switches run
    GET    /record        the counters; ?ids=1 the ids per recipient and the read marks, ?requests=1
                          every request (?since=S: begun after S monotonic seconds), ?media=1 what
                          media each message named, ?last=N the last N ids that were taken with
                          their age in seconds, the newest first
    DELETE /record        forget the record
    POST   /inbound       one inbound message, or a list of them: as at the native door, or
                          {"raw": element}, {"value": {...}, "field"} as the Cloud API has them
    GET    /faults        the switches; PUT sets those it names, DELETE clears all and ends what
                          runs
    GET    /switches      the same with the default and the meaning of each
    GET    /codes         the last registration code of each number, as an SMS would show it

Bad input is a 4xx with {"error": a sentence} and changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from itertools import islice
from typing import Any, Protocol

import msgspec
from aiohttp import web

from warouter.lab.simulator.cloud.faults import CloudFaults, described
from warouter.lab.simulator.cloud.graph.media_edge import MediaEdge
from warouter.lab.simulator.cloud.inbound import GraphMedia
from warouter.lab.simulator.cloud.world import World
from warouter.lab.simulator.control import (
    LARGEST_BODY,
    answer,
    errors,
    json_object,
    newest,
    parsed,
    seconds,
    told,
    wanted,
)
from warouter.lab.simulator.guard import no_pages, only_as
from warouter.lab.simulator.inbound import InboundMessage, build
from warouter.lab.simulator.number_authority import NumberAuthority

_ROWS = 500


class FaultSwitches(Protocol):
    """The door, as far as its switches go."""

    def use(self, faults: CloudFaults) -> None: ...

    def calm(self) -> None: ...


def application(
    world: World,
    media: MediaEdge,
    numbers: NumberAuthority,
    switches: FaultSwitches,
    *,
    state: Callable[[], dict[str, Any]],
    names: Collection[str],
) -> web.Application:
    """The control application of a Cloud door, to be run on its loop; it answers to ``names``."""
    app = web.Application(
        middlewares=[no_pages, only_as(names), errors], client_max_size=LARGEST_BODY
    )
    control = _CloudControl(world, media, numbers, switches, state)
    app.router.add_get("/", control.index)
    app.router.add_get("/record", control.record)
    app.router.add_delete("/record", control.forget)
    app.router.add_post("/inbound", control.inbound)
    app.router.add_get("/faults", control.faults)
    app.router.add_put("/faults", control.set_faults)
    app.router.add_delete("/faults", control.clear_faults)
    app.router.add_get("/switches", control.switches)
    app.router.add_get("/codes", control.codes)
    return app


class _CloudControl:
    def __init__(
        self,
        world: World,
        media: MediaEdge,
        numbers: NumberAuthority,
        switches: FaultSwitches,
        state: Callable[[], dict[str, Any]],
    ) -> None:
        self._world = world
        self._media = media
        self._numbers = numbers
        self._switches = switches
        self._state = state

    async def index(self, request: web.Request) -> web.Response:
        what = "warouter simulator: the stand-in for Meta's Cloud API"
        return answer({"what": what, "monotonic_s": time.monotonic(), **self._state()})

    async def record(self, request: web.Request) -> web.StreamResponse:
        since = seconds(request.query.get("since", "-inf"))
        record = self._world.record
        found = record.summary()
        if wanted(request, "ids"):
            found["ids"] = record.ids()
            found["marks"] = record.marks()
        if wanted(request, "media"):
            found["media"] = record.media()
        found |= newest(request, record)
        if wanted(request, "requests") or "since" in request.query:
            return await self._with_requests(request, found, since)
        return answer(found)

    async def _with_requests(
        self, request: web.Request, found: dict[str, Any], since: float
    ) -> web.StreamResponse:
        """The answer piece by piece: there may be a million requests, and the loop goes on."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        before = msgspec.json.encode(found)[:-1] + b',"requests":['
        rows = self._world.record.requests(since)
        while piece := list(islice(rows, _ROWS)):
            await response.write(before + msgspec.json.encode(piece)[1:-1])
            before = b","
            await asyncio.sleep(0)
        await response.write(b"]}" if before == b"," else before + b"]}")
        await response.write_eof()
        return response

    async def forget(self, request: web.Request) -> web.Response:
        self._world.record.forget()
        return answer({})

    async def inbound(self, request: web.Request) -> web.Response:
        asked = parsed(await request.read())
        several = isinstance(asked, list)
        now = int(time.time() + self._world.faults.clock_s)
        # All are built before the first is told: one bad one changes nothing.
        built = [self._built(one, now) for one in (asked if several else [asked])]
        ids = [await self._told(one) for one in built]
        return answer({"ids": ids} if several else {"id": ids[0]}, status=201)

    def _built(self, asked: object, now: int) -> InboundMessage | dict[str, Any]:
        if isinstance(asked, dict) and self._world.is_own(asked):
            return asked
        return build(asked, self._world.new_id(_sender(asked)), now)

    async def _told(self, built: InboundMessage | dict[str, Any]) -> str:
        if not isinstance(built, InboundMessage):
            return self._world.inject_own(built, time.monotonic(), time.time())
        media = {}
        for place, content in built.contents.items():
            id, sha256 = await self._media.keep(content, _mime(built, place))
            media[place] = GraphMedia(id, sha256, self._media.url(id))
        self._world.inject(built, media, time.monotonic(), time.time())
        return built.id

    async def faults(self, request: web.Request) -> web.Response:
        return answer(self._world.faults)

    async def set_faults(self, request: web.Request) -> web.Response:
        switches = json_object(parsed(await request.read()))
        self._switches.use(self._world.faults.changed(switches))
        return answer(self._world.faults)

    async def clear_faults(self, request: web.Request) -> web.Response:
        self._switches.calm()
        return answer(self._world.faults)

    async def switches(self, request: web.Request) -> web.Response:
        return answer(told(self._world.faults, described()))

    async def codes(self, request: web.Request) -> web.Response:
        return answer({"codes": self._numbers.codes(time.monotonic())})


def _sender(asked: object) -> str:
    return str(asked.get("from", "")) if isinstance(asked, dict) else ""


def _mime(message: InboundMessage, place: str) -> str:
    media = msgspec.json.decode(message.payload)[place]
    ad: dict[str, Any] = media.get("image") or media.get("video") or {}
    return str(media.get("mime_type") or ad.get("mime_type") or "application/octet-stream")
