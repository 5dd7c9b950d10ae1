"""The compiled scan of a plain text message takes nothing that ``parse_message`` does not take."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from warouter.api.messages._scan import digits_of
from warouter.api.messages.schema import TEXT_CHARS
from warouter.api.messages.validate import Parsed, parse_message
from warouter.errors import ApiError

PLAIN = b'{"to":"4915112345678","type":"text","text":{"body":"hello"}}'


def parsed(body: bytes) -> Parsed | None:
    try:
        return parse_message(body)
    except ApiError:
        return None


def check(body: bytes) -> bool:
    """Whether it is taken; the readable way must then find the same, and nothing more."""
    digits = digits_of(body)
    if digits is not None:
        assert parsed(body) == Parsed(digits, "individual", "text", [])
    return digits is not None


# What is taken

DIGITS = st.text("0123456789", min_size=5, max_size=15).filter(lambda d: not d.startswith("00"))
# A zero behind the country code: ``numbers.read`` says what a spelling of it means.
CLEAR = DIGITS.filter(lambda d: "0" not in d[:4])
SPACE = st.text(" \t\r\n", max_size=2)
TEXTS = st.text(
    st.characters(min_codepoint=32, exclude_categories=["Cs"])
    | st.sampled_from('\n\t"\\/\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff'),
    min_size=1,
    max_size=60,
)


@st.composite
def spelt(draw: st.DrawFn) -> tuple[str, str]:
    """A wa_id, and one of the ways to write it."""
    if draw(st.booleans()):
        digits = draw(DIGITS)
        return digits, draw(st.sampled_from(("", "00"))) + digits
    digits = draw(CLEAR)
    written = "".join(draw(st.text("()-. ", max_size=2)) + digit for digit in digits)
    return digits, draw(st.sampled_from(("", "+", "00", "0 0", "+00"))) + written


@st.composite
def messages(draw: st.DrawFn) -> tuple[str, bytes]:
    """A plain message as clients write it, and its recipient."""
    digits, written = draw(spelt())
    text: dict[str, object] = {"body": draw(TEXTS)}
    more = {"type": "text", "recipient_type": "individual", "preview_url": draw(st.booleans())}
    chosen = draw(st.sets(st.sampled_from(sorted(more))))
    if draw(st.booleans()):
        text["preview_url"] = draw(st.booleans())
    fields = [("to", written), ("text", text), *((name, more[name]) for name in chosen)]
    before, after = draw(SPACE), draw(SPACE)
    separators = (f"{draw(SPACE)},{draw(SPACE)}", f"{draw(SPACE)}:{draw(SPACE)}")
    message = dict(draw(st.permutations(fields)))
    body = json.dumps(message, ensure_ascii=False, separators=separators)
    return digits, f"{before}{body}{after}".encode()


@given(messages())
def test_a_plain_message_is_taken(message: tuple[str, bytes]) -> None:
    digits, body = message
    assert digits_of(body) == digits
    assert check(body)


@pytest.mark.parametrize("size", [TEXT_CHARS, TEXT_CHARS + 1])
@pytest.mark.parametrize("character", ["a", "\u00e4", "\U0001f600", "\\n"])
def test_the_length_of_a_text_counts_in_characters(character: str, size: int) -> None:
    body = PLAIN.replace(b"hello", (character * size).encode())
    assert check(body) == (size == TEXT_CHARS)
    assert (parsed(body) is not None) == (size == TEXT_CHARS)


# What is left to the readable way, or is no message at all


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"{}", b"[]", b"null", b'"to"', PLAIN[:-1], PLAIN + b"}", PLAIN + b"\0"),
        *(b"\xef\xbb\xbf" + PLAIN, PLAIN.replace(b"}}", b",}}"), PLAIN.replace(b"}}", b"}},")),
        PLAIN.replace(b"hello", b""),
        PLAIN.replace(b"hello", b"\\u0041"),
        PLAIN.replace(b"hello", b"\\x"),
        PLAIN.replace(b"hello", b"a\nb"),
        PLAIN.replace(b"hello", b"a\0b"),
        PLAIN.replace(b'"text",', b'"image",'),
        PLAIN.replace(b'"text",', b"null,"),
        PLAIN.replace(b'"text":{', b'"text":{"x":1,'),
        PLAIN.replace(b'"text":{', b'"text":{"body":"a",'),
        PLAIN.replace(b'{"to"', b'{"to":"15550001111","to"'),
        PLAIN.replace(b'{"to"', b'{"ttl":60,"to"'),
        PLAIN.replace(b'{"to"', b'{"t\\u006f"'),
        PLAIN.replace(b'{"to"', b'{"preview_url":"true","to"'),
        PLAIN.replace(b'{"to"', b'{"recipient_type":"group","to"'),
        *(PLAIN.replace(b"4915112345678", n) for n in (b"", b"1234", b"1" * 16, b"49a15112345")),
        *(PLAIN.replace(b"4915112345678", n) for n in (b"00" * 9, b"0049", b"\xd9\xa1" * 8)),
        PLAIN.replace(b'"4915112345678"', b"4915112345678"),
    ],
)
def test_bodies_the_scan_leaves_to_the_full_parser(body: bytes) -> None:
    assert not check(body)


def test_every_beginning_of_a_message_and_every_byte_in_it() -> None:
    body = PLAIN.replace(b"hello", "h\u00e4\u20ac\U0001f600\\n".encode())
    assert check(body)
    for at in range(len(body)):
        assert not check(body[:at])
        for byte in range(256):
            check(body[:at] + bytes((byte,)) + body[at + 1 :])
            check(body[:at] + bytes((byte,)) + body[at:])
        check(body[:at] + body[at + 1 :])


def test_utf_8_is_what_python_takes_for_it() -> None:
    """Each pair of bytes, with what may follow in a longer character."""
    edges = (0x00, 0x22, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF)
    for first in range(0x80, 0x100):
        for second in range(0x100):
            for rest in (b"", *(bytes((e,)) for e in edges), *(bytes((0x80, e)) for e in edges)):
                text = bytes((first, second)) + rest
                body = PLAIN.replace(b"hello", text)
                assert check(body) == (is_utf8(text) and parsed(body) is not None)


def is_utf8(text: bytes) -> bool:
    try:
        return bool(text.decode())
    except UnicodeDecodeError:
        return False


PIECES = (
    *(b"{", b"}", b":", b",", b" ", b"\n", b'"', b"\\", b"\0", b"[", b"]", b"0", b"00", b"+"),
    *(b'"to"', b'"text"', b'"type"', b'"body"', b'"preview_url"', b'"recipient_type"', b'"x"'),
    *(b'"individual"', b'"4915112345678"', b"true", b"false", b"null", b"1", b"\\u0041", b"\\n"),
    *(b'"text":{"body":"a"}', b'"to":"4915112345678"', b'"type":"text"', b"\xc3\xa4", b"\xff"),
)


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """A message in which pieces stand too much, lack, or were put in place of others."""
    body = draw(messages())[1]
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        gone = draw(st.sampled_from((0, 0, 1, 2, 7)))
        body = body[:at] + draw(st.sampled_from(PIECES) | st.binary(max_size=2)) + body[at + gone :]
    return body


@given(mutants() | st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join))
@example(PLAIN)
def test_whatever_is_taken_is_read_alike(body: bytes) -> None:
    check(body)
