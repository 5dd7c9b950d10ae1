"""One response of HTTP/1.1, fed as its bytes come. Pure.

It reads what RFC 9112 says and nothing looser: of an answer in any other form nobody can tell what
it says of the request, and a message in doubt is better than one that is wrongly taken for refused.
So whatever is odd makes it ``broken``, for good. Rules of this file:
  * it never holds more than the limits below, whatever comes;
  * it is complete once its own framing says so; the end of the connection completes only an answer
    that has no other;
  * answers of class 1xx come before the one that counts; 101 was not asked for.
"""

from __future__ import annotations

MOST_HEAD = 32 * 1024  # of all heads, the chunks' lines and the trailers
MOST_BODY = 256 * 1024

_BLANK = b"\r\n\r\n"
_SIZE_CHARS = 256  # of a chunk's line
_HEX = frozenset(b"0123456789abcdefABCDEF")
_VERSIONS = ("HTTP/1.1", "HTTP/1.0")
_WITHOUT_BODY = (204, 304)


class Response:
    """``status`` and ``fields`` (by lower-case name) count once it is complete, as ``body`` does.

    ``broken`` says why it cannot be read, or is "".
    """

    def __init__(self) -> None:
        self.status = 0
        self.fields: dict[str, str] = {}
        self.complete = False
        self.broken = ""
        self.surplus = False  # more came than this answer
        self.body = b""
        self._buffer = bytearray()
        self._read = self._head
        self._left = 0  # bytes of the body, or of a chunk
        self._content = bytearray()
        self._overhead = 0
        self._http_1_1 = True

    @property
    def reusable(self) -> bool:
        """The connection can carry another request."""
        keeps = self._http_1_1 and "close" not in self.fields.get("connection", "").lower()
        return self.complete and keeps and not self.surplus and self._read != self._until_end

    def feed(self, data: bytes) -> None:
        """Take bytes that came."""
        if self.broken:
            return
        self._buffer += data
        while not self.complete and not self.broken and self._read():
            pass
        if self.complete and self._buffer:
            self.surplus = True
            self._buffer.clear()

    def end(self) -> None:
        """The other side ended the connection in order: no more will come."""
        if self._read == self._until_end and not self.broken:
            self._finish()
        if not self.complete:
            self._break("the answer broke off" if self._begun else "no answer came")

    @property
    def _begun(self) -> bool:
        return bool(self.status or self._buffer)

    # Each reads one part from the buffer, and returns True if the next one may be there, too.

    def _head(self) -> bool:
        end = self._buffer.find(_BLANK)
        if end < 0 or not self._count(end + len(_BLANK)):
            return self._count_waiting(MOST_HEAD)
        head = self._buffer[:end].decode("latin-1")
        del self._buffer[: end + len(_BLANK)]
        first, *lines = head.split("\r\n")
        if head.count("\n") != len(lines) or head.count("\r") != len(lines):
            self._break("the answer has a malformed line")
            return False
        self._start(first)
        self.fields = self._fields_of(lines)
        if not self.broken and self.status >= 200:
            self._frame()
        return True

    def _start(self, line: str) -> None:
        """``HTTP/1.1 200 OK``."""
        version, _, rest = line.partition(" ")
        code = rest.partition(" ")[0]
        digits = len(code) == 3 and code.isascii() and code.isdigit()
        if version not in _VERSIONS or not digits or code < "100" or code == "101":
            self._break("the answer is not HTTP/1.1")
            return
        self._http_1_1 = version == "HTTP/1.1"
        self.status = int(code)

    def _fields_of(self, lines: list[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not name or name.strip() != name:
                self._break("the answer has a malformed line")
                return {}
            key, text = name.lower(), value.strip(" \t")
            found[key] = f"{found[key]}, {text}" if key in found else text
        return found

    def _frame(self) -> None:
        """How the body ends (RFC 9112, section 6.3)."""
        length, coding = self.fields.get("content-length"), self.fields.get("transfer-encoding")
        if self.status in _WITHOUT_BODY:
            self._finish()
        elif coding is not None:
            if coding.lower() != "chunked" or length is not None:
                self._break("the answer's length is ambiguous")
            self._read = self._size
        elif length is None:
            self._read = self._until_end
        else:
            self._expect(length)

    def _expect(self, length: str) -> None:
        if not (length.isascii() and length.isdigit()):
            self._break("the answer's length is ambiguous")
        elif len(length) > 9 or int(length) > MOST_BODY:
            self._break("the answer is too large")
        else:
            self._left = int(length)
            self._read = self._counted
            if not self._left:
                self._finish()

    def _counted(self) -> bool:
        if len(self._buffer) >= self._left:
            self._take(self._left)
            self._finish()
        return False

    def _until_end(self) -> bool:
        self._take(len(self._buffer))
        return False

    def _size(self) -> bool:
        """A chunk's line: its size in hexadecimal, and extensions that nobody needs."""
        end = self._buffer.find(b"\r\n")
        if end < 0 or not self._count(end + 2):
            return self._count_waiting(_SIZE_CHARS)
        size = bytes(self._buffer[:end]).partition(b";")[0].rstrip(b" \t")
        del self._buffer[: end + 2]
        if not 0 < len(size) <= 8 or not _HEX.issuperset(size):
            self._break("the answer has a malformed chunk")
            return False
        self._left = int(size, 16)
        if len(self._content) + self._left > MOST_BODY:
            self._break("the answer is too large")
        self._read = self._chunk if self._left else self._trailer
        return True

    def _chunk(self) -> bool:
        if len(self._buffer) < self._left + 2:
            return False
        self._take(self._left)
        if self._buffer[:2] != b"\r\n":
            self._break("the answer has a malformed chunk")
        del self._buffer[:2]
        self._read = self._size
        return True

    def _trailer(self) -> bool:
        end = self._buffer.find(b"\r\n")
        if end < 0 or not self._count(end + 2):
            return self._count_waiting(MOST_HEAD)
        del self._buffer[: end + 2]
        if end == 0:
            self._finish()
        return True

    def _count(self, size: int) -> bool:
        """Count bytes that are no body; False if they are too many."""
        self._overhead += size
        if self._overhead > MOST_HEAD:
            self._break("the answer is too large")
        return not self.broken

    def _count_waiting(self, most: int) -> bool:
        """Wait for the end of a line or a head, unless it has become too long."""
        if len(self._buffer) > min(most, MOST_HEAD - self._overhead):
            self._break("the answer is too large")
        return False

    def _take(self, size: int) -> None:
        self._content += self._buffer[:size]
        del self._buffer[:size]
        if len(self._content) > MOST_BODY:
            self._break("the answer is too large")

    def _finish(self) -> None:
        self.complete = True
        self.body = bytes(self._content)

    def _break(self, why: str) -> None:
        self.broken = self.broken or why
        self._buffer.clear()
        self._content.clear()
