"""The simulator's control port, of either door: what it saw, its switches, and what it is asked."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import aiohttp
import msgspec

from warouter.console.visit import ConsoleRefusal

SECONDS = 2.0  # for one answer
LAST = 10  # messages that are shown


class Switch(msgspec.Struct, frozen=True):
    """A switch of its faults; ``default`` is how WhatsApp behaves."""

    name: str
    value: Any
    default: Any
    meaning: str

    @property
    def on(self) -> bool:
        return bool(self.value != self.default)


class Arrived(msgspec.Struct, frozen=True):
    """A message that it took, and how long ago."""

    id: str
    age_s: float


class SimulatorView(NamedTuple):
    """A simulator's word on itself; ``counters`` are those of its record that are numbers.

    ``connections`` are the names of coreapps at the native door: the other one does not know them.
    """

    what: str
    connections: list[str]
    counters: dict[str, int]
    last: list[Arrived]
    switches: list[Switch]


class SimulatorClient:
    """A client of the control port at ``url``. Every call raises ConsoleRefusal."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._client: aiohttp.ClientSession | None = None

    async def look(self) -> SimulatorView:
        """Everything that the console shows of it."""
        about, record, switches = await asyncio.gather(
            self._call("GET", "/"),
            self._call("GET", f"/record?last={LAST}"),
            self._call("GET", "/switches"),
        )
        try:
            return SimulatorView(
                str(about["what"]),
                _nodes(about.get("connections")),
                {name: n for name, n in record.items() if type(n) is int},
                msgspec.convert(record["last"], list[Arrived]),
                msgspec.convert(switches, list[Switch]),
            )
        except (KeyError, TypeError, AttributeError, msgspec.ValidationError) as error:
            raise ConsoleRefusal(
                f"The simulator at {self.url} is of another version.", 502
            ) from error

    async def inject(self, sender: str, name: str, text: str) -> str:
        """The id of a new text from a customer."""
        message = {"from": sender, "name": name, "type": "text", "body": text}
        return str((await self._call("POST", "/inbound", message))["id"])

    async def set(self, name: str, value: Any) -> None:
        """Set a switch."""
        await self._call("PUT", "/faults", {name: value})

    async def clear(self) -> None:
        """Set all switches to their defaults."""
        await self._call("DELETE", "/faults")

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        if self._client is None:
            # Its port answers nobody who comes from a page, and loopback needs no proxy.
            timeout = aiohttp.ClientTimeout(total=SECONDS)
            self._client = aiohttp.ClientSession(timeout=timeout, trust_env=False)
        data = None if body is None else msgspec.json.encode(body)
        try:
            async with self._client.request(
                method, self.url + path, data=data, allow_redirects=False
            ) as answer:
                found = msgspec.json.decode(await answer.read())
        except (aiohttp.ClientError, OSError, TimeoutError, msgspec.DecodeError) as error:
            said = str(error) or type(error).__name__
            raise ConsoleRefusal(f"No simulator answers at {self.url}: {said}.", 502) from error
        if answer.status >= 300:
            sentence = found.get("error", "") if isinstance(found, dict) else ""
            raise ConsoleRefusal(f"The simulator refused: {sentence or answer.status}.", 400)
        return found


def _nodes(connections: Any) -> list[str]:
    return [str(peer["node"]) for peer in connections] if isinstance(connections, list) else []
