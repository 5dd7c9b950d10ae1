"""Large JSON costs what its bytes cost: why there is no limit of keys or digits beside the body's.

At 64 KiB a body has at most 13,000 keys. They are hashed with a secret seed, unknown ones are
skipped unread, and a number is never read into anything larger than 64 bits.
"""

from __future__ import annotations

import contextlib
import time

import msgspec
import pytest

from warouter.api.messages import schema
from warouter.errors import ApiError
from warouter.http.decode import decode

DECODER = msgspec.json.Decoder(schema.Message, strict=False)
KIB64 = 64 * 1024
BODIES = {
    "keys": b'{"to":"1",' + b",".join(b'"%d":1' % n for n in range(6_000)) + b"}",
    "one key": b'{"to":"1",' + b",".join([b'"k":1'] * 10_000) + b"}",
    "digits": b'{"to":"1","x":' + b"1" * (KIB64 - 20) + b"}",
    "digits of a field": b'{"ttl":' + b"1" * (KIB64 - 20) + b"}",
    "quoted digits of a field": b'{"ttl":"' + b"1" * (KIB64 - 20) + b'"}',
    "digits of a float": b'{"location":{"latitude":' + b"1" * (KIB64 - 50) + b"}}",
    "exponent": b'{"location":{"latitude":1e' + b"9" * (KIB64 - 50) + b"}}",
    "a million brackets": b"[" * 1_000_000,
    "a million objects": b'{"a":' * 1_000_000,
    "a million in a field": b'{"contacts":' + b"[" * 1_000_000,
}


@pytest.mark.parametrize("name", BODIES)
def test_no_body_takes_long(name: str) -> None:
    fastest = 1.0
    for _ in range(5):  # the machine may be busy, the parser is not
        began = time.perf_counter()
        with contextlib.suppress(ApiError):
            decode(BODIES[name], DECODER)
        fastest = min(fastest, time.perf_counter() - began)
    assert fastest < 0.05
