"""A server that speaks the part of S3 that media needs, with faults to order.

It is strict where a lenient one would hide a mistake: every signature is checked, in headers and in
URLs, and so are MD5, length and If-None-Match.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import ssl
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from aiohttp import web

REGION, ACCESS_KEY, SECRET_KEY = "eu-central-1", "AKIATEST", "a+secret/of=tests"
BUCKET = "media.test"


@dataclass
class Stored:
    content: bytes
    changed: datetime

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.content).hexdigest()}"'


@dataclass
class Faults:
    """Each number is of how many requests it still happens to; sets are of methods."""

    refuse: dict[str, tuple[int, str]] = field(default_factory=dict)  # method: status, code
    busy: int = 0  # answered 503 SlowDown
    lose: int = 0  # puts that are done and whose answer never comes
    cut: int = 0  # gets that break off in the middle
    swallow: int = 0  # puts that break off in the middle
    hang: asyncio.Event | None = None  # all wait for it
    away: bool = False  # every connection is closed at once


class BucketServer:
    """One bucket. ``asked`` counts requests by method."""

    def __init__(self, name: str = BUCKET) -> None:
        self.name = name
        self.objects: dict[str, Stored] = {}
        self.faults = Faults()
        self.asked: Counter[str] = Counter()
        self.region = REGION
        self.secret = SECRET_KEY
        self.writing = 0  # bytes of the puts that are under way
        self.url = ""

    async def start(self, context: ssl.SSLContext | None = None, port: int = 0) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=context).start()
        scheme, host = ("https", "localhost") if context else ("http", "127.0.0.1")
        self.port: int = self._runner.addresses[0][1]
        self.url = f"{scheme}://{host}:{self.port}"

    async def stop(self) -> None:
        if self.faults.hang is not None:
            self.faults.hang.set()
        await self._runner.cleanup()

    def environment(self, prefix: str = "wa/media") -> dict[str, str]:
        """The variables of a process that keeps its media here."""
        return {
            "WAROUTER_MEDIA_URL": f"s3://{self.name}/{prefix}",
            "WAROUTER_MEDIA_S3_ENDPOINT": self.url,
            "WAROUTER_MEDIA_S3_REGION": REGION,
            "WAROUTER_MEDIA_S3_KEY_ID": ACCESS_KEY,
            "WAROUTER_MEDIA_S3_SECRET_KEY": SECRET_KEY,
        }

    def put(self, key: str, content: bytes, age: float = 0.0) -> None:
        self.objects[key] = Stored(content, datetime.now(UTC) - timedelta(seconds=age))

    def age(self, key: str, seconds: float) -> None:
        self.objects[key].changed = datetime.now(UTC) - timedelta(seconds=seconds)

    # ---------------------------------------------------------------- requests

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.method] += 1
        if self.faults.away:
            return self._gone(request)
        if self.faults.hang is not None:
            await self.faults.hang.wait()
        bucket, _, key = unquote(request.raw_path.partition("?")[0]).lstrip("/").partition("/")
        wrong = self._wrong(request, bucket)
        if wrong is not None:
            return wrong
        match request.method:
            case "PUT":
                return await self._put(request, key)
            case "GET" if not key:
                return self._list(request)
            case "GET" | "HEAD":
                return await self._get(request, key)
            case "DELETE":
                self.objects.pop(key, None)
                return web.Response(status=204)
        return error(405, "MethodNotAllowed")

    def _wrong(self, request: web.Request, bucket: str) -> web.Response | None:
        kind = "LIST" if request.query.get("list-type") else request.method
        if self.faults.busy:
            self.faults.busy -= 1
            return error(503, "SlowDown")
        if bucket != self.name:
            return error(404, "NoSuchBucket")
        if (refusal := self.faults.refuse.get(kind)) is not None:
            return error(*refusal)
        return self._unsigned(request)

    def _unsigned(self, request: web.Request) -> web.Response | None:
        """Signature version 4, as its specification has it."""
        query = request.query
        if "X-Amz-Signature" in query:
            given = query["X-Amz-Signature"]
            scope, when = query["X-Amz-Credential"], query["X-Amz-Date"]
            names, payload = query["X-Amz-SignedHeaders"], "UNSIGNED-PAYLOAD"
        else:
            said = request.headers.get("Authorization", "")
            parts = dict(re.findall(r"(Credential|SignedHeaders|Signature)=([^,\s]+)", said))
            if len(parts) != 3:
                return error(403, "AccessDenied")
            given, scope, names = parts["Signature"], parts["Credential"], parts["SignedHeaders"]
            when, payload = request.headers["x-amz-date"], request.headers["x-amz-content-sha256"]
        key, day, region, *service = scope.split("/")
        if key != ACCESS_KEY:
            return error(403, "InvalidAccessKeyId")
        if region != self.region:
            return error(400, "AuthorizationHeaderMalformed")
        signed = names.split(";")
        if any(n.startswith("x-amz-") and n not in signed for n in map(str.lower, request.headers)):
            return error(403, "AccessDenied")
        canonical = "\n".join(
            [
                request.method,
                quote(unquote(request.raw_path.partition("?")[0]), safe="/-_.~"),
                "&".join(
                    sorted(
                        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
                        for name, value in query.items()
                        if name != "X-Amz-Signature"
                    )
                ),
                *(f"{name}:{' '.join(request.headers[name].split())}" for name in signed),
                "",
                names,
                payload,
            ]
        )
        text = "\n".join(
            [
                "AWS4-HMAC-SHA256",
                when,
                "/".join([day, region, *service]),
                hashlib.sha256(canonical.encode()).hexdigest(),
            ]
        )
        secret = f"AWS4{self.secret}".encode()
        for part in (day, region, *service):
            secret = hmac.digest(secret, part.encode(), "sha256")
        right = hmac.digest(secret, text.encode(), "sha256").hex()
        return None if hmac.compare_digest(given, right) else error(403, "SignatureDoesNotMatch")

    async def _put(self, request: web.Request, key: str) -> web.StreamResponse:
        if request.content_length is None:
            return error(411, "MissingContentLength")
        content = bytearray()
        try:
            async for chunk in request.content.iter_any():
                content += chunk
                self.writing += len(chunk)
                if self.faults.swallow and len(content) * 2 >= request.content_length:
                    self.faults.swallow -= 1
                    return self._gone(request)
        finally:
            self.writing -= len(content)
        digest = b64encode(hashlib.md5(content).digest()).decode()
        if request.headers.get("Content-MD5", digest) != digest:
            return error(400, "BadDigest")
        if request.headers.get("If-None-Match") == "*" and key in self.objects:
            return error(412, "PreconditionFailed")
        self.put(key, bytes(content))
        if self.faults.lose:
            self.faults.lose -= 1
            return self._gone(request)
        return web.Response(headers={"ETag": self.objects[key].etag})

    async def _get(self, request: web.Request, key: str) -> web.StreamResponse:
        stored = self.objects.get(key)
        if stored is None:
            return error(404, "NoSuchKey")
        content = stored.content
        status, headers = 200, {"ETag": stored.etag, "Last-Modified": _http(stored.changed)}
        if found := re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", "")):
            begin, end = int(found[1]), int(found[2] or len(content) - 1)
            status = 206
            headers["Content-Range"] = f"bytes {begin}-{end}/{len(content)}"
            content = content[begin : end + 1]
        if request.method == "HEAD":
            return web.Response(headers={**headers, "Content-Length": str(len(content))})
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = len(content)
        await response.prepare(request)
        half = len(content) // 2
        for begin in range(0, len(content), 1 << 16):
            if self.faults.cut and begin >= half:
                self.faults.cut -= 1
                return self._gone(request, response)
            await response.write(content[begin : begin + (1 << 16)])
        await response.write_eof()
        return response

    def _list(self, request: web.Request) -> web.Response:
        """In pages of ``max-keys``, each of which names the key that the next begins after."""
        query = request.query
        begin, most = query.get("prefix", ""), int(query.get("max-keys", "1000"))
        after = query.get("continuation-token", query.get("start-after", ""))
        keys = sorted(k for k in self.objects if k.startswith(begin) and k > after)
        shown = keys[:most]
        more = len(keys) > most
        inner = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.objects[key].content)}</Size>"
            f"<LastModified>{self.objects[key].changed:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
            f"<ETag>{escape(self.objects[key].etag)}</ETag></Contents>"
            for key in shown
        )
        token = (
            f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>" if more else ""
        )
        text = (
            f"<ListBucketResult><Name>{self.name}</Name><KeyCount>{len(shown)}</KeyCount>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{inner}</ListBucketResult>"
        )
        return web.Response(text=text, content_type="application/xml")

    def _gone(self, request: web.Request, response: Any = None) -> Any:
        """The connection ends without (the rest of) an answer."""
        if request.transport is not None:
            request.transport.abort()
        return response or web.Response(status=500)


def error(status: int, code: str) -> web.Response:
    text = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")


def _http(when: datetime) -> str:
    return when.strftime("%a, %d %b %Y %H:%M:%S GMT")
