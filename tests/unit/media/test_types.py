"""What media may be: types as clients spell them, limits, content that belies its type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.errors import BodyTooLarge, MediaRefused, ParameterInvalid, ParameterMissing
from warouter.media.types import (
    GENERIC,
    KIB,
    MIB,
    check,
    checked,
    kind_of,
    limit_of,
    of_link,
    safe,
    sniffed,
)

JPEG, PNG, PDF = b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"%PDF-1.4"
MP4, OGG = b"\0\0\0\x18ftypmp42", b"OggS\0"
WEBP = b"RIFF\0\0\0\0WEBPVP8 "
ANIMATED = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x12"


@pytest.mark.parametrize(
    ("said", "stored"),
    [
        ("image/jpeg", "image/jpeg"),
        (" IMAGE/JPEG ", "image/jpeg"),
        ("image/jpg", "image/jpeg"),
        ("audio/acc", "audio/aac"),  # as the product's OpenAPI document has it
        ("audio/ogg; codecs=opus", "audio/ogg; codecs=opus"),
        ("text/plain;charset=UTF-8", "text/plain; charset=UTF-8"),
        ("text/plain;", "text/plain"),
        ("application/vnd.ms-excel", "application/vnd.ms-excel"),
        ("application/x-anything+json", "application/x-anything+json"),
    ],
)
def test_types_that_are_taken(said: str, stored: str) -> None:
    assert checked(said) == stored
    assert checked(stored) == stored


@pytest.mark.parametrize(
    ("said", "error", "sentence"),
    [
        *((said, ParameterMissing, None) for said in (None, "", "  ")),
        *(
            (s, ParameterInvalid, "form")
            for s in ("multipart/form-data; boundary=x", "multipart/mixed")
        ),
        *((s, ParameterInvalid, None) for s in ("image", "image/", "/jpeg", "a b/c", "ï/x")),
        *((s, ParameterInvalid, None) for s in ("image/jpeg\r\nX: y", "x/" + "y" * 300)),
    ],
)
def test_bad_media_types_are_refused(
    said: str | None, error: type[Exception], sentence: str | None
) -> None:
    with pytest.raises(error, match=sentence):
        checked(said)


@given(st.text())
def test_any_text_is_a_type_or_a_400(said: str) -> None:
    try:
        stored = checked(said)
    except (ParameterInvalid, ParameterMissing):
        return
    assert stored.isascii()
    assert stored.isprintable()


@pytest.mark.parametrize(
    ("mime", "kind", "limit"),
    [
        ("image/jpeg", "image", 5 * MIB),
        ("image/x-new", "image", 5 * MIB),
        ("audio/ogg; codecs=opus", "audio", 16 * MIB),
        ("video/mp4", "video", 16 * MIB),
        ("image/webp", "sticker", 500 * KIB),
        ("application/pdf", "document", 100 * MIB),
        ("text/plain; charset=utf-8", "document", 100 * MIB),
    ],
)
def test_kinds_and_limits(mime: str, kind: str, limit: int) -> None:
    assert kind_of(mime) == kind
    assert limit_of(mime) == limit


@pytest.mark.parametrize(
    ("mime", "head"),
    [
        *(("image/jpeg", JPEG), ("image/png", PNG), ("video/mp4", MP4), ("audio/mp4", MP4)),
        *(("audio/ogg; codecs=opus", OGG), ("application/pdf", PDF), ("image/webp", WEBP)),
        *(("image/jpeg", b"what is this"), ("audio/mpeg", b"ID3"), ("text/plain", PDF)),
        *(("application/octet-stream", JPEG), ("video/quicktime", MP4), ("image/gif", PNG)),
    ],
)
def test_content_that_may_be_so(mime: str, head: bytes) -> None:
    check(mime, head, 1000)


@pytest.mark.parametrize(
    ("mime", "head"),
    [
        *(("image/jpeg", PNG), ("image/png", JPEG), ("video/mp4", JPEG), ("audio/ogg", MP4)),
        *(("application/pdf", JPEG), ("image/webp", JPEG), ("audio/mpeg", PDF), ("image/gif", PDF)),
    ],
)
def test_content_that_plainly_is_not(mime: str, head: bytes) -> None:
    with pytest.raises(MediaRefused, match=f"not {mime}, but {sniffed(head)}"):
        check(mime, head, 1000)


def test_empty_and_too_large() -> None:
    with pytest.raises(ParameterMissing):
        check("image/jpeg", b"", 0)
    for mime, head, most in (
        ("image/jpeg", JPEG, 5 * MIB),
        ("image/webp", WEBP, 100 * KIB),  # a still sticker is smaller than an animated one
        ("image/webp", ANIMATED, 500 * KIB),
    ):
        check(mime, head, most)
        with pytest.raises(BodyTooLarge):
            check(mime, head, most + 1)


@pytest.mark.parametrize(
    ("kind", "said", "head", "name", "found"),
    [
        ("image", "image/png", PNG, "", "image/png"),
        ("image", "", JPEG, "", "image/jpeg"),
        ("image", "application/octet-stream", b"?", "a.PNG", "image/png"),
        ("image", "nonsense", b"?", "", "image/jpeg"),
        ("document", "text/html; charset=x", b"?", "", "text/html; charset=x"),
        ("document", "binary/octet-stream", b"?", "a.pdf", "application/pdf"),
        ("document", "application/octet-stream", b"?", "a", "application/octet-stream"),
        ("audio", "video/mp4", MP4, "", "audio/mp4"),
        ("audio", "application/ogg", OGG, "", "audio/ogg"),
        ("audio", "audio/ogg; codecs=opus", OGG, "", "audio/ogg; codecs=opus"),
        ("sticker", "image/webp", WEBP, "", "image/webp"),
        ("video", "text/plain", MP4, "", "video/mp4"),
    ],
)
def test_the_type_of_what_a_link_gave(
    kind: str, said: str, head: bytes, name: str, found: str
) -> None:
    assert of_link(kind, said, head, name) == found


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        *(("image", "text/html"), ("video", "image/png"), ("audio", "image/png")),
        *(("sticker", "image/png"), ("image", "application/pdf")),
    ],
)
def test_a_link_that_gives_something_else(kind: str, said: str) -> None:
    with pytest.raises(MediaRefused, match=f"cannot be sent as {kind}"):
        of_link(kind, said, b"?", "")


@pytest.mark.parametrize("mime", ["image/jpeg", "audio/ogg; codecs=opus", "image/JPEG", "x/y; z=1"])
def test_a_type_that_may_be_served(mime: str) -> None:
    assert safe(mime) == safe(f" {mime} ") == mime


@given(st.text() | st.sampled_from(["image/jpeg\r\nSet-Cookie: a=b", "image/jpeg; a=\n", "image"]))
def test_whatever_a_stranger_calls_it_is_fit_for_a_header(mime: str) -> None:
    found = safe(mime)
    assert found.isascii()
    assert found.isprintable()
    assert found in (GENERIC, mime.strip())
    assert found == safe(found)


def test_the_parameters_of_a_server_are_no_way_around() -> None:
    assert of_link("document", "application/pdf; a=\r\nb", b"", "x") == GENERIC
