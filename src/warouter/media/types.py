"""Types and size limits of media, and detection of content
that does not match its declared type. Pure.

Limits go by the first half of a type, so that a subtype nobody thought of is bounded as well; what
is no image, audio or video is a document, whatever it is.
"""

from __future__ import annotations

import re

from warouter.errors import BodyTooLarge, MediaRefused, ParameterInvalid, ParameterMissing

KIB, MIB = 1024, 1024 * 1024
LIMITS = {
    "image": 5 * MIB,
    "audio": 16 * MIB,
    "video": 16 * MIB,
    "sticker": 500 * KIB,  # an animated one; a still one may have STILL_STICKER
    "document": 100 * MIB,
}
STILL_STICKER = 100 * KIB
LARGEST = max(LIMITS.values())
GENERIC = "application/octet-stream"
HEAD = 64  # bytes of the content that are looked at

_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,100}")
_MOST_CHARS = 255
# Bodies of forms are no content of a file: whoever sends one means something else.
_FORMS = {"multipart/form-data", "multipart/mixed", "application/x-www-form-urlencoded"}
# The OpenAPI document of the product has it, and clients copied it.
_VAGUE = {"", GENERIC, "binary/octet-stream", "application/binary", "text/plain", "*/*"}
_USUAL = {
    "image": "image/jpeg",
    "audio": "audio/mpeg",
    "video": "video/mp4",
    "sticker": "image/webp",
    "document": GENERIC,
}
_BY_NAME = {
    "aac": "audio/aac",
    "amr": "audio/amr",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg; codecs=opus",
    "pdf": "application/pdf",
    "png": "image/png",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "txt": "text/plain",
    "webp": "image/webp",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "zip": "application/zip",
    "3gp": "video/3gpp",
}
# Containers that are taken for pictures by their first bytes or their name.
_AS_SOUND = {"video/mp4": "audio/mp4", "application/ogg": "audio/ogg", "video/3gpp": "audio/3gpp"}
_MISSPELT = {"audio/acc": "audio/aac", "image/jpg": "image/jpeg", "audio/mp3": "audio/mpeg"}


def checked(content_type: str | None) -> str:
    """The Content-Type to store, checked, with its parameters.

    ParameterMissing without one, ParameterInvalid if it is none or that of a form.
    """
    if content_type is None or not content_type.strip():
        raise ParameterMissing("the header Content-Type is required: the type of the media")
    base, semicolon, parameters = content_type.strip().partition(";")
    base = base.strip().lower()
    if not _TYPE.fullmatch(base) or len(content_type) > _MOST_CHARS or not _plain(content_type):
        raise ParameterInvalid("Content-Type must be type/subtype, such as image/jpeg")
    if base in _FORMS:
        raise ParameterInvalid(
            f"Content-Type {base} is for forms: send only the bytes of the file,"
            " with the type of the file"
        )
    base = _MISSPELT.get(base, base)
    return f"{base}; {parameters.strip()}" if semicolon and parameters.strip() else base


def safe(mime: str) -> str:
    """A stranger's Content-Type made safe for a header; octet-stream if it is not valid."""
    text = mime.strip()
    fit = _TYPE.fullmatch(base_of(text)) and len(text) <= _MOST_CHARS and _plain(text)
    return text if fit else GENERIC


def base_of(mime: str) -> str:
    return mime.partition(";")[0].strip().lower()


def kind_of(mime: str) -> str:
    """The kind whose limit applies: image, audio, video, sticker (webp), or document."""
    base = base_of(mime)
    if base == "image/webp":
        return "sticker"
    first = base.partition("/")[0]
    return first if first in ("image", "audio", "video") else "document"


def limit_of(mime: str) -> int:
    """Maximum size in bytes of media of this type."""
    return LIMITS[kind_of(mime)]


def check(mime: str, head: bytes, size: int, limit: int | None = None) -> None:
    """Raises an ApiError unless complete media matches its type; ``head`` is its first bytes.

    ``limit`` stands in for that of the type.

    ParameterMissing if it is empty, BodyTooLarge above its limit, MediaRefused if the content is
    plainly of another type.
    """
    if not size:
        raise ParameterMissing("the body is empty: the bytes of the media are required")
    found, base = sniffed(head), base_of(mime)
    if found and _belies(base, found):
        raise MediaRefused(f"the content is not {base}, but {found}")
    if limit is None:
        still = base == "image/webp" and not _animated(head)
        limit = STILL_STICKER if still else limit_of(mime)
    if size > limit:
        raise BodyTooLarge(f"{kind_of(mime)} of {size} bytes: at most {limit} are allowed")


def of_link(kind: str, said: str, head: bytes, name: str) -> str:
    """The type of a link's content, for an image, audio, video, document or sticker.

    Servers often say nothing useful: then the content decides, then the ``name`` in the link.
    MediaRefused if it can be no such media.
    """
    said = safe(said)
    if base_of(said) in _VAGUE:
        said = sniffed(head) or _BY_NAME.get(name.rpartition(".")[2].lower()) or _USUAL[kind]
    if kind == "document":
        return said
    base = _MISSPELT.get(base_of(said), base_of(said))
    base = _AS_SOUND.get(base, base) if kind == "audio" else base
    if base != "image/webp" if kind == "sticker" else base.partition("/")[0] != kind:
        raise MediaRefused(f"the link returned {base}, which cannot be sent as {kind}")
    return said if base == base_of(said) else base


def sniffed(head: bytes) -> str:
    """The type that the first bytes clearly show, or ""."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        return "video/mp4"
    if head.startswith(b"OggS"):
        return "audio/ogg"
    if head.startswith(b"%PDF-"):
        return "application/pdf"
    return ""


# What content shows that is of these types. Other types are only held to their first half.
_SHOWN = {
    "image/jpeg": "image/jpeg",
    "image/png": "image/png",
    "image/webp": "image/webp",
    "video/mp4": "video/mp4",
    "video/3gpp": "video/mp4",
    "audio/mp4": "video/mp4",
    "audio/ogg": "audio/ogg",
    "application/pdf": "application/pdf",
}


def _belies(base: str, found: str) -> bool:
    """True if the content is recognised as another type. Unrecognised content is accepted."""
    if base in _SHOWN:
        return _SHOWN[base] != found
    said, shown = base.partition("/")[0], found.partition("/")[0]
    if said == "image":
        return shown != "image"
    # Containers hold both sound and pictures.
    return said in ("audio", "video") and shown not in ("audio", "video")


def _animated(head: bytes) -> bool:
    return head[12:16] == b"VP8X" and len(head) > 20 and bool(head[20] & 0x02)


def _plain(text: str) -> bool:
    return text.isascii() and text.isprintable()
