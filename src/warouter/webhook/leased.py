"""The body of a POST, which is only written under a lease.

Looking up the name, connecting and TLS may have taken longer than a lease lasts, so the lease is
asked again once there is a connection to write to. The head of the request leaves in the same
write as the body, so a receiver sees nothing of a POST that is withheld.

Only this class has the bytes, and every way to them asks. A version of aiohttp that takes another
way than today's sends nothing unasked, and one that takes none leaves ``left`` False.
"""

from __future__ import annotations

from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractStreamWriter


class LeasedBody(aiohttp.Payload):
    """JSON that is written if ``may_act`` allows it; else
    aiohttp.ClientError, and ``withheld`` is set.
    """

    def __init__(self, content: bytes, may_act: Callable[[], bool]) -> None:
        super().__init__(b"", content_type="application/json")
        self._content = content
        self._may_act = may_act
        self.withheld = False
        self.left = False

    @property
    def size(self) -> int:
        return len(self._content)

    @property
    def autoclose(self) -> bool:
        return True  # there is nothing to close

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Also called by aiohttp's ``write_with_length``."""
        await writer.write(self._released())

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Also called by aiohttp's ``as_bytes``."""
        return self._released().decode(encoding, errors)

    def _released(self) -> bytes:
        if not self._may_act():
            self.withheld = True
            raise aiohttp.ClientError("the lease has ended")
        self.left = True
        return self._content
