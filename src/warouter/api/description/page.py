"""GET /v1/openapi.json, and GET /v1/docs, the same description as an HTML page.

Both are made once, when first asked for. The page is plain HTML with its style inside, so it needs
no script, no other host and no second request.
"""

from __future__ import annotations

import functools
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from html import escape
from typing import Any

import msgspec
from aiohttp import web

from warouter import STATIC
from warouter.access.scopes import ANY
from warouter.api.access.caller import Caller
from warouter.api.context import Context
from warouter.api.description.openapi import JSON, describe
from warouter.api.route import Access, Route
from warouter.codes import PAGE
from warouter.http.envelope import META

HTML = "text/html"
_CACHE = "public, max-age=300"
_METHODS = ("get", "head", "post", "put", "patch", "delete")


class Description:
    """The description of some routes in both forms, with their header fields."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes

    @functools.cached_property
    def document(self) -> dict[str, Any]:
        return describe(self._routes, META["version"])

    @functools.cached_property
    def json(self) -> tuple[bytes, dict[str, str]]:
        body = msgspec.json.encode(self.document)
        return body, {"Content-Type": JSON, **_cached(body)}

    @functools.cached_property
    def html(self) -> tuple[bytes, dict[str, str]]:
        return html_page(f"{self.document['info']['title']} API", _parts(self.document))


DESCRIPTION = web.AppKey("description", Description)


async def openapi(_context: Context, request: web.Request, _caller: Caller) -> web.Response:
    return served(request, *request.app[DESCRIPTION].json)


async def docs(_context: Context, request: web.Request, _caller: Caller) -> web.Response:
    return served(request, *request.app[DESCRIPTION].html)


def html_page(title: str, parts: Iterable[str]) -> tuple[bytes, dict[str, str]]:
    """A page of these parts of HTML, with its header fields."""
    # That of the console: one look for all that a browser shows.
    style = (STATIC / "console" / "console.css").read_text()
    head = [
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width, initial-scale=1'>",
        f"<title>{escape(title)}</title>",
        f"<style>{style}</style></head><body><main class=docs>",
    ]
    body = "".join([*head, *parts, "</main></body></html>\n"]).encode()
    digest = b64encode(sha256(style.encode()).digest()).decode()
    # Nothing but this very style may act on the page.
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Type": f"{HTML}; charset=utf-8",
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return body, headers | _cached(body)


def _cached(body: bytes) -> dict[str, str]:
    return {"ETag": f'"{sha256(body).hexdigest()[:32]}"', "Cache-Control": _CACHE}


def served(request: web.Request, body: bytes, headers: Mapping[str, str]) -> web.Response:
    """The body, or 304 if the client has this version already."""
    tags = request.headers.get("If-None-Match", "").split(",")
    known = {tag.strip().removeprefix("W/") for tag in tags}
    if headers["ETag"] in known or "*" in known:
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, headers=headers)


# ------------------------------------------------------------------ the page


def _parts(document: Mapping[str, Any]) -> Iterator[str]:
    info = document["info"]
    yield f"<h1>{escape(info['title'])} API <small>{escape(info['version'])}</small></h1>"
    yield from (f"<p>{prose(p)}</p>" for p in info["description"].split("\n\n"))
    yield "<p><a href='/v1/openapi.json'>openapi.json</a>, the same for programs</p>"
    yield f"<p><a href='{PAGE}'>Error codes</a>, with causes and what to do</p>"
    yield from _operations(document["paths"])
    yield "<h2>Types</h2>"
    yield from (_type(name, t) for name, t in document["components"]["schemas"].items())


def _operations(paths: Mapping[str, Any]) -> Iterator[str]:
    """Operations by tag, in the order in which the tags first appear."""
    tags: dict[str, list[str]] = {}
    for path, operations in paths.items():
        for method in _METHODS:
            if operation := operations.get(method):
                shown = _operation(method, path, operation)
                tags.setdefault(operation["tags"][0], []).append(shown)
    for tag, shown_ones in tags.items():
        yield f"<h2>{escape(tag)}</h2>"
        yield from shown_ones


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    """One route, folded under its summary."""
    parts = [
        f"<details id='{escape(operation['operationId'])}'><summary>",
        f"<b class={method}>{method.upper()}</b> <code>{escape(path)}</code>",
        f" <span>{prose(operation['summary'])}</span></summary>",
        f"<p>{prose(operation['description'])}</p>",
    ]
    if parameters := operation.get("parameters"):
        parts += ["<h3>Parameters</h3><ul>", *map(_parameter, parameters), "</ul>"]
    if body := operation.get("requestBody"):
        parts += ["<h3>Body", "" if body["required"] else " (optional)", "</h3>"]
        parts += [_content(body["content"])]
    parts += ["<h3>Answers</h3><dl>"]
    for status, response in operation["responses"].items():
        parts += [f"<dt>{escape(status)}</dt><dd>{prose(response['description'])}"]
        # Failures all have the one shape of ErrorAnswer.
        if status < "300" and "content" in response:
            parts += [_content(response["content"])]
        parts += ["</dd>"]
    return "".join([*parts, "</dl></details>"])


def _parameter(parameter: Mapping[str, Any]) -> str:
    meaning = prose(parameter.get("description", "required"))
    return f"<li><code>{escape(parameter['name'])}</code> ({parameter['in']}): {meaning}</li>"


def _content(content: Mapping[str, Any]) -> str:
    parts = []
    for content_type, media in content.items():
        parts.append(f"<div><code>{escape(content_type)}</code> {_shape(media.get('schema'))}")
        for name, example in media.get("examples", {}).items():
            text = msgspec.json.format(msgspec.json.encode(example["value"])).decode()
            parts.append(f"<p>Example: {escape(name)}</p><pre>{escape(text)}</pre>")
        parts.append("</div>")
    return "".join(parts)


def _type(name: str, schema: Mapping[str, Any]) -> str:
    parts = [f"<section id='{escape(name)}'><h3>{escape(name)}</h3>"]
    if description := schema.get("description"):
        parts.append(f"<p>{prose(description)}</p>")
    required = schema.get("required", ())
    parts.append("<ul>")
    for key, value in schema.get("properties", {}).items():
        must = " <em>required</em>" if key in required else ""
        parts.append(f"<li><code>{escape(key)}</code>: {_shape(value)}{must}</li>")
    return "".join([*parts, "</ul></section>"])


def _shape(schema: Mapping[str, Any] | None) -> str:
    """A schema in a few words, with links to the types it names."""
    if not schema:
        return "anything"
    if reference := schema.get("$ref"):
        name = escape(reference.rpartition("/")[2])
        return f"<a href='#{name}'>{name}</a>"
    if alternatives := schema.get("anyOf"):
        return " or ".join(map(_shape, alternatives))
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(v))}</code>" for v in schema["enum"])
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_shape(schema.get('items'))}"
    if isinstance(more := schema.get("additionalProperties"), dict) and more:
        return f"object of {_shape(more)} by name"
    return escape(f"{kind}{_bounds(schema)}")


_BOUNDS = {"minimum": "from", "maximum": "to", "minLength": "at least", "maxLength": "at most"}


def _bounds(schema: Mapping[str, Any]) -> str:
    words = [f"{word} {schema[key]}" for key, word in _BOUNDS.items() if key in schema]
    return f" ({', '.join(words)})" if words else ""


def prose(text: str) -> str:
    """Escaped text; text between backticks becomes code."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{p}</code>" if n % 2 else p for n, p in enumerate(pieces))


ROUTES = (
    Route(
        "GET",
        "/v1/openapi.json",
        Access.OPEN,
        ANY,
        openapi,
        answer="application/json",
        status=(200, 304),
    ),
    Route("GET", "/v1/docs", Access.OPEN, ANY, docs, answer=HTML, status=(200, 304)),
)
