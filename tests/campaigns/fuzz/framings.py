"""Framings that are refused with 400 on a connection that then ends (docs/api.md, Framing).

REFUSED are the parts of ``odd`` that differ from a good request, by what is wrong with them.
"""

from __future__ import annotations

_LENGTH = b"Content-Length: %d"
_CHUNKED = b"Transfer-Encoding: chunked"
REFUSED: dict[str, dict[str, bytes]] = {
    "no version": {"line": b"POST /v1/messages"},
    "HTTP/0.9": {"line": b"POST /v1/messages HTTP/0.9"},
    "HTTP/1.2": {"line": b"POST /v1/messages HTTP/1.2"},
    "HTTP/2.0": {"line": b"POST /v1/messages HTTP/2.0"},
    "HTTP/11": {"line": b"POST /v1/messages HTTP/11"},
    "version in small letters": {"line": b"POST /v1/messages http/1.1"},
    "another protocol": {"line": b"POST /v1/messages ICE/1.0"},
    "two spaces before the target": {"line": b"POST  /v1/messages HTTP/1.1"},
    "two spaces before the version": {"line": b"POST /v1/messages  HTTP/1.1"},
    "a space behind the version": {"line": b"POST /v1/messages HTTP/1.1 "},
    "a space before the method": {"line": b" POST /v1/messages HTTP/1.1"},
    "a tab in the request line": {"line": b"POST\t/v1/messages HTTP/1.1"},
    "a word too many": {"line": b"POST /v1/messages x HTTP/1.1"},
    "a method in small letters": {"line": b"post /v1/messages HTTP/1.1"},
    "a method that HTTP does not have": {"line": b"FETCH /v1/messages HTTP/1.1"},
    "CONNECT": {"line": b"CONNECT localhost:9090 HTTP/1.1"},
    "NUL in the target": {"line": b"POST /v1/\0messages HTTP/1.1"},
    "bytes above ASCII in the target": {"line": b"POST /v1/messages\xff HTTP/1.1"},
    "no host": {"host": b"X-Host: localhost"},
    "an empty host": {"host": b"Host:"},
    "a host of spaces": {"host": b"Host:   "},
    "a host with a space": {"host": b"Host: a b"},
    "a host with a path": {"host": b"Host: localhost/v1"},
    "a host with a user": {"host": b"Host: admin@localhost"},
    "a host with a port that is none": {"host": b"Host: localhost:http"},
    "two hosts in one": {"host": b"Host: localhost, other"},
    "two hosts": {"host": b"Host: localhost\r\nHost: localhost"},
    "two tokens": {"more": b"authorization: Bearer " + b"x" * 43 + b"\r\n"},
    "chunked in HTTP/1.0": {"line": b"POST /v1/messages HTTP/1.0", "length": _CHUNKED},
    "gzip, chunked": {"length": b"Transfer-Encoding: gzip, chunked"},
    "chunked, chunked": {"length": b"Transfer-Encoding: chunked, chunked"},
    "chunked, identity": {"length": b"Transfer-Encoding: chunked, identity"},
    "identity": {"length": b"Transfer-Encoding: identity"},
    "xchunked": {"length": b"Transfer-Encoding: xchunked"},
    "an empty coding": {"length": b"Transfer-Encoding:"},
    "chunked twice": {"length": _CHUNKED + b"\r\n" + _CHUNKED},
    "chunked behind a tab of another kind": {"length": b"Transfer-Encoding: \x0bchunked"},
    "a length and chunked": {"length": _LENGTH + b"\r\n" + _CHUNKED},
    "chunked and a length": {"length": _CHUNKED + b"\r\n" + _LENGTH},
    "two lengths": {"length": b"Content-Length: 5\r\n" + _LENGTH},
    "the same length twice": {"length": _LENGTH + b"\r\n" + _LENGTH},
    "a list of lengths": {"length": _LENGTH + b", %d"},
    "a length with a plus": {"length": b"Content-Length: +%d"},
    "a length below zero": {"length": b"Content-Length: -%d"},
    "a length of sixteen": {"length": b"Content-Length: 0x%x"},
    "a length with a separator": {"length": b"Content-Length: 1_0"},
    "a length of other digits": {"length": b"Content-Length: \xd9\xa5"},
    "no length": {"length": b"Content-Length:"},
    "a length of 5,000 digits": {"length": b"Content-Length: " + b"9" * 5000},
    "a length of 5,000 zeros and the right one": {
        "length": b"Content-Length: " + b"0" * 5000 + b"%d"
    },
    "a length of 16 digits": {"length": b"Content-Length: %016d"},
    "a length that is too large for 64 bits": {
        "length": b"Content-Length: 99999999999999999999999"
    },
    "a space before the colon": {"length": b"Content-Length : %d"},
    "a tab before the colon": {"length": b"Content-Length\t: %d"},
    "a field on two lines": {"more": b"X: a\r\n b\r\n"},
    "a field on two lines at once": {"more": b" X: a\r\n"},
    "a field without a colon": {"more": b"X\r\n"},
    "a field without a name": {"more": b": a\r\n"},
    "a name with a space": {"more": b"X Y: a\r\n"},
    "a name with NUL": {"more": b"X\0: a\r\n"},
    "a name above ASCII": {"more": b"X\xff: a\r\n"},
    "NUL in a value": {"more": b"X: a\0b\r\n"},
    "a control character in a value": {"more": b"X: a\x7f\r\n"},
    "bare CR in a value": {"more": b"X: a\rb\r\n"},
    "bare CR and a length": {"more": b"X: a\rContent-Length: 5\r\n"},
    "bare LF and a length": {"more": b"X: a\nContent-Length: 5\r\n"},
    "bare LF behind a field": {"more": b"X: a\n"},
    "bare LF behind the line": {"line": b"POST /v1/messages HTTP/1.1\nX: a"},
    "bare LF at the end of the header": {"end": b"\r\n\n"},
    "bare LF throughout": {"newline": b"\n"},
    "bare CR throughout": {"newline": b"\r"},
    "101 fields": {"more": b"".join(b"X-%d: a\r\n" % n for n in range(100))},
}
REFUSED_CHUNKS = {
    "a size below zero": b"-1\r\nhello\r\n0\r\n\r\n",
    "a size with a plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "a size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a size with a separator": b"5_0\r\nhello\r\n0\r\n\r\n",
    "a size of 18 digits": b"f" * 18 + b"\r\nhello\r\n0\r\n\r\n",
    "a size of 5,000 zeros": b"0" * 5000 + b"5\r\nhello\r\n0\r\n\r\n",
    "no size": b"\r\n0\r\n\r\n",
    "a space behind the size": b"5 \r\nhello\r\n0\r\n\r\n",
    "a space before the size": b" 5\r\nhello\r\n0\r\n\r\n",
    "an extension": b"5;a=b\r\nhello\r\n0\r\n\r\n",
    "an extension with bare LF": b"5;\nhello\r\n0\r\n\r\n",
    "bare LF behind a size": b"5\nhello\r\n0\r\n\r\n",
    "bare LF behind the data": b"5\r\nhello\n0\r\n\r\n",
    "nothing behind the data": b"5\r\nhello0\r\n\r\n",
    "more data than the size": b"5\r\nhelloXX\r\n0\r\n\r\n",
    "a trailer": b"5\r\nhello\r\n0\r\nX: a\r\n\r\n",
    "a trailer that is a length": b"5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n",
    "bare LF at the end": b"5\r\nhello\r\n0\r\n\n",
}


def sized(line: bytes, size: int) -> bytes:
    """A line of REFUSED with the size of its body."""
    for form in (b"%d", b"%x", b"%016d"):
        line = line.replace(form, form % size)
    return line


def odd(
    user: str,
    body: bytes,
    *,
    line: bytes = b"POST /v1/messages HTTP/1.1",
    host: bytes = b"Host: localhost:9090",
    length: bytes = _LENGTH,
    more: bytes = b"",
    end: bytes = b"\r\n\r\n",
    newline: bytes = b"\r\n",
) -> bytes:
    """A request with parts of REFUSED; without any it is a good one. ``user`` is a live token."""
    fields = b"Authorization: Bearer " + user.encode() + b"\r\nContent-Type: application/json"
    head = b"\r\n".join((line, host, fields, more + sized(length, len(body)))) + end
    return head.replace(b"\r\n", newline) + body


def chunked(user: str, chunks: bytes) -> bytes:
    """A request with a chunked body, such as those of REFUSED_CHUNKS."""
    return odd(user, b"", length=_CHUNKED) + chunks
