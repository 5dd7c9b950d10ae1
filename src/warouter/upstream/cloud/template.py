"""Which template a message is of. Pure."""

from __future__ import annotations

import msgspec


class _Language(msgspec.Struct):
    code: str = ""


class _Template(msgspec.Struct):
    name: str = ""
    language: _Language = msgspec.field(default_factory=_Language)


class _Body(msgspec.Struct):
    template: _Template | None = None


_body = msgspec.json.Decoder(_Body)


def template_of(body: bytes | memoryview) -> tuple[str, str]:
    """Name and language of the template in a body, of v1 or the Cloud API; empty if it is none."""
    if b'"template"' not in bytes(body):
        return "", ""
    try:
        found = _body.decode(body).template
    except msgspec.MsgspecError:
        return "", ""
    return (found.name, found.language.code) if found is not None else ("", "")
