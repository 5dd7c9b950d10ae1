"""How a witness is asked: a JSON value a line comes in, one a line goes out.

What a witness makes of a webhook are *facts*, dicts with whichever of these are there:

    what        message, status, error (of a whole value) or notice (of another field)
    id          wamid
    party       digits of the customer, or the user id of one without a number
    name        type of a message, name of a status, field of a notice
    code        of the first error
    reference   biz_opaque_callback_data
    content     what the message says, by its type: see ``tests/outside/told.py``
    media       id of its media
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any


def run(answer: Callable[[Any], Any]) -> None:
    """Answer every line; what cannot be read is ``{"refused": why}``."""
    for line in sys.stdin:
        try:
            said = answer(json.loads(line))
        except Exception as error:
            said = {"refused": f"{type(error).__name__}: {error}"[:400]}
        print(json.dumps(said), flush=True)


def fact(what: str, **parts: Any) -> dict[str, Any]:
    """A fact, without what is empty."""
    return {"what": what} | {name: part for name, part in parts.items() if part not in (None, "")}
