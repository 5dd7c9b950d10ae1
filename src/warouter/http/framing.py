"""Finds where a request begins and ends in the bytes of a client. Pure.

The only reader of boundaries: whoever answers a request gets exactly the bytes that are found here,
so no two parsers ever share a socket. It takes less than RFC 9112 lets a server take. Whatever a
proxy in front could read otherwise (bare LF, a length with a sign, two of a field that decides) is
NotHttp, which ends the connection.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple, Protocol

from warouter.errors import GenericError, HeadTooLarge
from warouter.http.pace import HEAD_BYTES, HEAD_FIELDS, TARGET_BYTES

END = b"\r\n\r\n"
CHUNKED = -1  # the length of a body that says itself where it ends
LENGTH_DIGITS = 15  # more than any body; Python refuses to read numbers of thousands of digits
_LINE_BYTES = TARGET_BYTES + 64
_CHUNK_DIGITS = 8
_VISIBLE = rb"[\t -~\x80-\xff]"
_NAME = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
# Possessive throughout: a match that fails has read each byte once.
_LINE = re.compile(rb"([A-Z][A-Z-]{0,31}) ([!-~]++) HTTP/1\.([01])\r\n")
_LINE_BEGUN = re.compile(rb"[A-Z][A-Z-]{0,31}(?: (?:[!-~]++(?: [HTP/1.0]{0,8}+\r?)?)?)?|\r")
_FIELD = re.compile(rb"^(%b++):(%b*+)\r\n" % (_NAME, _VISIBLE), re.MULTILINE)
_NEVER = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BLANK = re.compile(rb"(?:\r\n)*+")
# The path of a number's requests: one spelling, so that no proxy can take it for another one.
_OF_NUMBER = re.compile(rb"/n/([a-z0-9]+(?:-[a-z0-9]+)*+)(?=/v1[/? ])")
_NUMBER_NAME_BYTES = 32
_HOST = re.compile(rb"(?:[\w.~!$&'()*+,;=%-]+|\[[0-9A-Za-z:.%~_-]+\])(?::[0-9]{0,5})?", re.ASCII)
_LENGTH = re.compile(rb"[0-9]{1,%d}" % LENGTH_DIGITS)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,%d})\r\n" % _CHUNK_DIGITS)
# A second one might be the one that a proxy has checked; aiohttp refuses the latter ones too.
_ONCE = frozenset(
    b"host content-length transfer-encoding authorization content-type content-location"
    b" content-range etag max-forwards server user-agent".split()
)


class NotHttp(GenericError):
    """The bytes are not a valid HTTP/1.1 request."""


class Head(NamedTuple):
    """The request line and the header fields.

    ``size`` in bytes as written, ``line`` with its end, ``fields`` by their name in small letters
    (of one that stands ``twice`` the last), ``length`` of the body in bytes or CHUNKED. A path
    /n/NAME/v1/... is /v1/... in the ``line``, and NAME is the ``number``.
    """

    size: int
    line: bytes
    fields: dict[bytes, bytes]
    twice: bool
    length: int
    number: bytes = b""

    def body(self) -> BodyFraming:
        """A new ``BodyFraming`` that separates the bytes of this body from those behind it."""
        return Chunks() if self.length == CHUNKED else Sized(self.length)


class BodyFraming(Protocol):
    """The rest of a request whose head is known."""

    @property
    def ended(self) -> bool: ...

    def take(self, data: bytes) -> int:
        """How many of these bytes, from the first on, belong to the body; NotHttp if broken."""

    def content(self, taken: bytes | bytearray) -> bytes:
        """The body without its framing; ``taken`` are all of its bytes, once they have ended."""


def read_head(head: bytes) -> Head:
    """The head in ``head``, up to the empty line; NotHttp, HeadTooLarge above 16 KiB of fields."""
    line = _LINE.match(head)
    if line is None or len(line[2]) > TARGET_BYTES:
        raise NotHttp("the request line must be METHOD TARGET HTTP/1.1, with single spaces")
    at = line.end()
    if len(head) - at - 2 > HEAD_BYTES:
        raise _too_large()
    if line[1] == b"CONNECT":
        raise NotHttp("CONNECT is not supported: this server is not a proxy")
    found = _FIELD.findall(head, at)
    if len(found) != head.count(b"\n") - 2 or not head.endswith(END):  # a line that is no field
        raise NotHttp("a header field is not one NAME: VALUE line ending in CR LF")
    fields = {name.lower(): value.strip(b" \t") for name, value in found}
    twice = len(fields) != len(found)
    if len(found) > HEAD_FIELDS:
        raise NotHttp(f"the header has more than {HEAD_FIELDS} fields")
    if twice:
        _check_twice([name.lower() for name, _ in found])
    is_1_0 = line[3] == b"0"
    _check_host(fields.get(b"host"), is_1_0=is_1_0)
    asked, number = _of_number(line[0], line.start(2))
    return Head(len(head), asked, fields, twice, _length(fields, is_1_0=is_1_0), number)


def check_begun(came: bytes, before: int) -> None:
    """Refuse an incomplete head as soon as it cannot become a valid one: raises NotHttp
    or HeadTooLarge. ``came`` has no END; its first ``before`` bytes were checked already.
    """
    end = came.find(b"\r\n")
    if end < 0 and (len(came) > _LINE_BYTES or _LINE_BEGUN.fullmatch(came) is None):
        raise NotHttp("the request line must be METHOD TARGET HTTP/1.1, with single spaces")
    if end >= before - 1 and end >= 0 and _LINE.match(came) is None:
        raise NotHttp("the request line must be METHOD TARGET HTTP/1.1, with single spaces")
    if _NEVER.search(came, max(0, before - 1)) is not None:
        raise NotHttp("the header has a control character, or a line that does not end with CR LF")
    if len(came) > HEAD_BYTES + TARGET_BYTES:
        raise _too_large()


def without_blank_lines(came: bytes) -> bytes:
    """``came`` without the empty lines at its beginning."""
    blank = _BLANK.match(came)
    return came[blank.end() :] if blank is not None else came


class Sized:
    """A body with a Content-Length."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def ended(self) -> bool:
        return self._left == 0

    def take(self, data: bytes) -> int:
        size = min(self._left, len(data))
        self._left -= size
        return size

    def content(self, taken: bytes | bytearray) -> bytes:
        return bytes(taken)


class Chunks:
    """A chunked body without extensions and trailers, which no ordinary client sends here."""

    __slots__ = ("_expects", "_left", "_line", "ended")

    def __init__(self) -> None:
        self._expects = _SIZE
        self._left = 0  # of the present chunk's data
        self._line = b""  # the part of the next line that has come
        self.ended = False

    def take(self, data: bytes) -> int:
        at = 0
        while at < len(data) and not self.ended:
            if self._left:
                size = min(self._left, len(data) - at)
                self._left -= size
            else:
                size = self._read_line(data, at)
            at += size
        return at

    def content(self, taken: bytes | bytearray) -> bytes:
        found, at = bytearray(), 0
        while size := int(taken[at : (begins := taken.index(b"\r\n", at) + 2) - 2], 16):
            found += taken[begins : begins + size]
            at = begins + size + 2
        return bytes(found)

    def _read_line(self, data: bytes, at: int) -> int:
        """Read on in a line between chunks, and act on it once it is complete."""
        most = _CHUNK_DIGITS + 2 - len(self._line)
        end = data.find(b"\n", at, at + most) + 1
        part = data[at : end or at + most]
        self._line += part
        if end:
            line, self._line = self._line, b""
            self._expects = self._after(line)
        elif len(part) == most:
            raise _badly_chunked()
        return len(part)

    def _after(self, line: bytes) -> _Line:
        """The state that follows this line and the data that it announces."""
        if self._expects is not _SIZE:
            if line != b"\r\n":
                raise _badly_chunked()
            self.ended = self._expects is _LAST
            return _SIZE
        size = _CHUNK.fullmatch(line)
        if size is None:
            raise _badly_chunked()
        self._left = int(size[1], 16)
        return _DATA_END if self._left else _LAST


class _Line(Enum):
    """Kinds of lines between the chunks of a body."""

    SIZE = 0
    DATA_END = 1  # the empty end of a chunk's data
    LAST = 2  # the empty one that ends the body


_SIZE, _DATA_END, _LAST = _Line


def _of_number(line: bytes, path: int) -> tuple[bytes, bytes]:
    """The request line without the prefix that names a number, and that name."""
    named = _OF_NUMBER.match(line, path)
    if named is None or len(named[1]) > _NUMBER_NAME_BYTES:
        return line, b""
    return line[:path] + line[named.end() :], named[1]


def _check_twice(names: list[bytes]) -> None:
    for name in _ONCE:
        if names.count(name) > 1:
            raise NotHttp(f"the field {name.decode().title()} is given twice")


def _check_host(host: bytes | None, *, is_1_0: bool) -> None:
    if host is None and is_1_0:
        return
    if host is None or _HOST.fullmatch(host) is None:
        raise NotHttp("the Host field is missing or malformed")


def _length(fields: dict[bytes, bytes], *, is_1_0: bool) -> int:
    coding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length")
    if coding is not None:
        if coding.lower() != b"chunked" or is_1_0 or length is not None:
            raise NotHttp(
                "Transfer-Encoding must be exactly chunked, in HTTP/1.1, without Content-Length"
            )
        return CHUNKED
    if length is None:
        return 0
    if _LENGTH.fullmatch(length) is None:
        raise NotHttp(f"Content-Length must be 1 to {LENGTH_DIGITS} digits")
    return int(length)


def _too_large() -> HeadTooLarge:
    return HeadTooLarge(f"the header is larger than {HEAD_BYTES} bytes")


def _badly_chunked() -> NotHttp:
    return NotHttp("the body's chunks are badly framed, or have extensions or trailers")
