"""waba-360, a client of 360dialog's v1, at a base URL of its own."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from answering import run
from waba_360 import Waba360


def main(base: str, key: str, hook: str, to: str) -> None:
    """Answer for each verb with what the client returned, or raised."""
    Waba360.BASE_URL = base

    async def said(verb: str) -> Any:
        client = Waba360(key, "a_namespace")
        verbs = {
            "webhook": lambda: client.set_wh(hook),
            "text": lambda: client.send_msg(to, "hello"),
            "template": lambda: client.send_tmpl_msg(to, "order"),
        }
        try:
            return await verbs[verb]()
        finally:
            await client.close()

    run(lambda verb: asyncio.run(said(verb)))


if __name__ == "__main__":
    main(*sys.argv[1:])
