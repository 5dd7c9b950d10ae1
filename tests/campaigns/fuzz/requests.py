"""One generated request: a route of the description, filled with right and wrong things."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random
from typing import Any, NamedTuple

from tests.campaigns.fuzz.values import Values, encoded, mangled, nudged
from tests.harness.described import DOCUMENT
from warouter.api.app import ROUTES
from warouter.api.description.openapi import words_on
from warouter.api.route import Route

# What would end the campaign itself: the token's own end, and the change of who may do what.
LEFT_OUT = {("POST", "/v1/users/logout")}
# Costly by nature: a password check each.
RARE = {("POST", "/v1/users/login"): 0.1, ("POST", "/v1/account/shards"): 0.3}
_ROUTES = [r for r in ROUTES if (r.method, r.path) not in LEFT_OUT]
_WEIGHTS = [RARE.get((r.method, r.path), 1.0) for r in _ROUTES]

SEGMENTS = (
    "nobody",
    "x",
    "%00",
    "%ff%fe",
    "%0d%0aX:1",
    "..",
    "%2e%2e%2f",
    "a%2fb",
    "%E2%80%A8",
    "%f0%9f%98%80",
    "'%20or%201=1",
    "16315551000",
    "00000000-0000-0000-0000-000000000000",
    "a" * 257,
    "-1",
    "9" * 40,
)
TYPES = (
    "application/json",
    "application/json; charset=utf-16",
    "text/plain",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "image/jpeg",
    "",
    ";;;",
    "a" * 500,
)
EXTRAS = (
    "Content-Encoding: gzip",
    "Accept: text/html",
    "Accept-Encoding: br;q=nan",
    "If-None-Match: *",
    "Range: bytes=0-1",
    "X-Forwarded-For: 1.2.3.4, ::1",
    "X-HTTP-Method-Override: DELETE",
    "Idempotency-Key: " + "k" * 300,
    "Idempotency-Key: \x7f",
    "Cookie: a=b; token=c",
    "Expect: 100-continue",
    "Expect: miracle",
    "Upgrade: h2c",
    "Connection: close",
    "Te: trailers",
    "X-Long: " + "a" * 4000,
)
QUERIES = (
    "",
    "",
    "",
    "?retry=1",
    "?format=prometheus",
    "?format=link",
    "?a=%00&b=%ff",
    "?" + "&" * 50,
)


class Made(NamedTuple):
    """``may_change``: a success of it is a change that was asked for."""

    number: int
    route: Route
    path: str
    raw: bytes

    @property
    def may_change(self) -> bool:
        return self.route.method not in ("GET", "HEAD")


def made(seed: int, number: int, tokens: Mapping[str, str]) -> Made:
    """Request ``number`` of a campaign; the same for the same seed and tokens.

    ``tokens`` are values of Authorization by who sends them.
    """
    random = Random(f"{seed}-{number}")
    (route,) = random.choices(_ROUTES, _WEIGHTS)
    path = re.sub(r"\{[^/]+?\}", lambda _: random.choice(SEGMENTS), route.path)
    path += random.choice(("", "", "/")) if path != "/" else ""
    path += random.choice(QUERIES)
    body = _body(route, random)
    lines = [f"{route.method} {path} HTTP/1.1", "Host: fuzz"]
    if authorization := _authorization(tokens, random):
        lines.append(f"Authorization: {authorization}")
    if body or random.random() < 0.5:
        content_type = random.choice(TYPES) if random.random() < 0.3 else TYPES[0]
        lines.append(f"Content-Type: {content_type}")
    lines += random.sample(EXTRAS, random.choice((0, 0, 0, 1, 2)))
    return Made(number, route, path, _framed(lines, body, random))


def _authorization(tokens: Mapping[str, str], random: Random) -> str:
    drawn = random.random()
    if drawn < 0.8:
        return tokens["admin"]
    if drawn < 0.9:
        return tokens["user"]
    return random.choice(
        ("", "Bearer", "Bearer " + "x" * 43, "Basic Og==", "Basic \xff", "Apikey x")
    )


def _body(route: Route, random: Random) -> bytes:
    operation = DOCUMENT["paths"][route.path][route.method.lower()]
    content: Mapping[str, Any] = operation.get("requestBody", {}).get("content", {})
    if not content:
        return random.choice((b"", b"", b"", b"{}", b"x"))
    schema = content.get("application/json", {}).get("schema")
    if schema is None:
        return random.randbytes(random.choice((0, 1, 100)))
    examples = list(words_on(route).examples.values())
    if examples and random.random() < 0.4:
        example = random.choice(examples)
        return encoded(example if random.random() < 0.2 else nudged(example, random), random)
    values = Values(DOCUMENT, random, random.choice((0.0, 0.05, 0.3)))
    return mangled(encoded(values.value(schema), random), random)


def _framed(lines: list[str], body: bytes, random: Random) -> bytes:
    if random.random() < 0.15:
        lines.append("Transfer-Encoding: chunked")
        body = _chunked(body, random)
    else:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


def _chunked(body: bytes, random: Random) -> bytes:
    pieces = []
    while body:
        size = random.choice((1, 7, 100, 5000))
        pieces.append(b"%x\r\n%b\r\n" % (len(body[:size]), body[:size]))
        body = body[size:]
    return b"".join([*pieces, b"0\r\n\r\n"])
