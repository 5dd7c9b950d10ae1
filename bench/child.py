"""A process of a benchmark that is told what to do by lines of JSON."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import msgspec

STOP_SECONDS = 5.0
LONGEST_LINE = 256 << 20  # times of a million answers


class Child:
    """``python -m MODULE``: its first line is a number, mostly its port; each answer is one more.

    It ends when its standard input is closed. ``pid`` is the process, ``port`` that number.
    """

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.pid = process.pid
        self.port = port
        self._process = process

    @classmethod
    async def start(cls, module: str, *arguments: str, python: str = sys.executable) -> Child:
        """Start it and wait for its first line; ValueError if it ends without one."""
        process = await asyncio.create_subprocess_exec(
            *(python, "-m", module, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
        )
        assert process.stdout is not None
        return cls(process, int(await process.stdout.readline()))

    async def ask(self, command: object) -> dict[str, Any]:
        """Give it one line, return its answer; msgspec.DecodeError if it died meanwhile."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(command) + b"\n")
        return msgspec.json.decode(await self._process.stdout.readline(), type=dict[str, Any])

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Let it end, and end it after so many seconds."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), seconds)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
