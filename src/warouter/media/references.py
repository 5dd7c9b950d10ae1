"""Which media a message refers to. Pure.

The body is what POST /v1/messages has accepted; the webapp asks whether there is any, the owner
which. The order is that of the body, and the upstream is told the handles in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

OBJECTS = ("image", "audio", "video", "document", "sticker")
TYPES = frozenset({*OBJECTS, "template", "interactive"})
_IN_HEADERS = ("image", "video", "document")


class Reference(msgspec.Struct, frozen=True):
    """An uploaded media (``id``) or a ``link``, one of both; ``provider`` names credentials.

    ``type`` is the object's: image, audio, video, document, sticker.
    """

    type: str
    id: str = ""
    link: str = ""
    provider: str = ""


class _Provider(msgspec.Struct):
    name: str | None = None


class _Media(msgspec.Struct):
    id: str | None = None
    link: str | None = None
    provider: _Provider | None = None


class _Part(msgspec.Struct):
    """A header of an interactive message or a parameter of a template."""

    type: str | None = None
    image: _Media | None = None
    video: _Media | None = None
    document: _Media | None = None


class _Component(msgspec.Struct):
    parameters: list[_Part] | None = None
    cards: list[_Card] | None = None  # of a carousel


class _Card(msgspec.Struct):
    components: list[_Component] | None = None


class _TemplateMedia(msgspec.Struct):
    components: list[_Component] | None = None


class _Interactive(msgspec.Struct):
    header: _Part | None = None


class _MediaMessage(msgspec.Struct):
    type: str | None = None
    image: _Media | None = None
    audio: _Media | None = None
    video: _Media | None = None
    document: _Media | None = None
    sticker: _Media | None = None
    template: _TemplateMedia | None = None
    interactive: _Interactive | None = None


_DECODER = msgspec.json.Decoder(_MediaMessage, strict=False)


def find(body: bytes | memoryview) -> list[Reference]:
    """The media of a message, in order; ValueError for a body that is no message."""
    message = _DECODER.decode(body)
    match message.type:
        case "template" if message.template is not None:
            return _of_parts(_parameters(message.template.components))
        case "interactive" if message.interactive is not None:
            header = message.interactive.header
            return _of_parts(() if header is None else (header,))
        case kind if kind in OBJECTS:
            return _of(kind, getattr(message, kind))
        case _:
            return []


def _parameters(components: list[_Component] | None) -> Iterator[_Part]:
    """Yield the parameters of the components and, in its place, of each card of a carousel."""
    for component in components or ():
        yield from component.parameters or ()
        for card in component.cards or ():
            yield from _parameters(card.components)


def _of_parts(parts: Iterable[_Part]) -> list[Reference]:
    return [
        reference
        for part in parts
        if part.type in _IN_HEADERS
        for reference in _of(part.type, getattr(part, part.type))
    ]


def _of(kind: str, media: _Media | None) -> list[Reference]:
    if media is None or not (media.id or media.link):
        return []
    provider = media.provider.name if media.provider is not None else None
    return [Reference(kind, media.id or "", media.link or "", provider or "")]
