"""The recipient in the JSON of a plain text message, found in one pass over its bytes.

Taken is only what ``parse_message``, the readable twin, takes too, and of that what nearly all
senders write: an object of known keys, each once, values without ``\\u``. No object is made.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport uint8_t
from libc.string cimport memchr, memcpy, memset, strchr

cdef enum:
    _MOST_CHARS = 4096  # of a text, as schema.TEXT_CHARS
    _LEAST_DIGITS = 5
    _CODE_DIGITS = 3  # of a country code, at most
    # The keys of a message, and of its text.
    _TO = 1
    _TYPE = 2
    _RECIPIENT_TYPE = 4
    _PREVIEW = 8
    _TEXT = 16
    _BODY = 32

# What stands for itself in a string: most of a text is that.
cdef uint8_t[256] _ORDINARY
memset(_ORDINARY, 0, 256)
memset(_ORDINARY + 0x20, 1, 0x60)
_ORDINARY[c'"'] = _ORDINARY[c"\\"] = 0


def digits_of(bytes body not None) -> str | None:
    """The wa_id that a plain text message goes to; None if ``body`` is none."""
    cdef uint8_t[MOST_DIGITS] digits
    cdef int size = scanned(
        <const uint8_t*>PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body), digits
    )
    return PyUnicode_DecodeASCII(<const char*>digits, size, NULL) if size else None


# A body ends where its bytes object does, and behind each of those stands a NUL, which no JSON has:
# so nothing below looks where the body ends. Each moves ``at`` behind what it has read.


cdef int scanned(const uint8_t* at, Py_ssize_t size, uint8_t* digits) noexcept nogil:
    """Write the digits of the message's recipient, and return how many; 0 if it is not taken."""
    cdef int count = 0
    cdef const uint8_t* end = at + size
    if not _members(&at, False, digits, &count):
        return 0
    _space(&at)
    return count if at == end else 0


cdef bint _members(const uint8_t** at, bint inner, uint8_t* digits, int* count) noexcept nogil:
    """An object of known keys, each at most once: the message, or the ``inner`` one, its text."""
    cdef int seen = 0, key, wanted = _BODY if inner else _TO | _TEXT
    _space(at)
    if not _mark(at, c"{"):
        return False
    while True:
        _space(at)
        key = _key(at, inner)
        if not key or seen & key:
            return False
        seen |= key
        _space(at)
        if not _mark(at, c":"):
            return False
        _space(at)
        if not _value(at, key, digits, count):
            return False
        _space(at)
        if not _mark(at, c","):
            return _mark(at, c"}") and seen & wanted == wanted


cdef int _key(const uint8_t** at, bint inner) noexcept nogil:
    """The number of the key that stands here; 0 for any other."""
    if inner:
        if _word(at, b'"body"'):
            return _BODY
    elif _word(at, b'"to"'):
        return _TO
    elif _word(at, b'"text"'):
        return _TEXT
    elif _word(at, b'"type"'):
        return _TYPE
    elif _word(at, b'"recipient_type"'):
        return _RECIPIENT_TYPE
    return _PREVIEW if _word(at, b'"preview_url"') else 0


cdef bint _value(const uint8_t** at, int key, uint8_t* digits, int* count) noexcept nogil:
    if key == _TO:
        return _number(at, digits, count)
    if key == _TEXT:
        return _members(at, True, digits, count)
    if key == _BODY:
        return _string(at)
    if key == _TYPE:
        return _word(at, b'"text"')
    if key == _RECIPIENT_TYPE:
        return _word(at, b'"individual"')
    return _word(at, b"true") or _word(at, b"false")


cdef bint _number(const uint8_t** at, uint8_t* digits, int* count) noexcept nogil:
    """A string that ``validate.recipient_of`` takes, and its digits; not each that it takes."""
    cdef uint8_t[MOST_DIGITS + 2] found
    cdef int size = 0, zeros
    cdef bint written = False
    if not _mark(at, c'"'):
        return False
    while at[0][0] != c'"':
        if c"0" <= at[0][0] <= c"9":
            if size == MOST_DIGITS + 2:
                return False
            found[size] = at[0][0]
            size += 1
        elif not _dropped(at[0][0]) or (at[0][0] == c"+" and written + size):
            return False
        else:
            written = True
        at[0] += 1
    zeros = 2 if size >= 2 and found[0] == c"0" and found[1] == c"0" else 0
    count[0] = size - zeros
    if not _LEAST_DIGITS <= count[0] <= MOST_DIGITS:
        return False
    # Among separators a zero behind the country code may be one that is only dialled at home.
    if written and memchr(found + zeros, c"0", _CODE_DIGITS + 1):
        return False
    memcpy(digits, found + zeros, count[0])
    return _mark(at, c'"')


cdef inline bint _dropped(uint8_t one) noexcept nogil:
    return one == c"+" or one == c"(" or one == c")" or one == c"-" or one == c"." or one == c" "


cdef bint _string(const uint8_t** at) noexcept nogil:
    """A string of 1 to 4096 characters of UTF-8, without ``\\u``."""
    cdef const uint8_t* here = at[0] + 1
    cdef Py_ssize_t chars, more = 0  # characters, and bytes beyond the first one of each
    cdef int size
    if at[0][0] != c'"':
        return False
    while True:
        while _ORDINARY[here[0]]:
            here += 1
        if here[0] == c'"':
            break
        size = _character(here)
        if not size:
            return False
        here += size
        more += size - 1
    chars = here - at[0] - 1 - more
    at[0] = here + 1
    return 1 <= chars <= _MOST_CHARS


cdef int _character(const uint8_t* at) noexcept nogil:
    """Bytes of the character that stands here, no ordinary one; 0 if it is none."""
    cdef uint8_t first = at[0], low = 0x80, high = 0xBF
    cdef int size, i
    if first == c"\\":
        return 2 if at[1] and strchr(b'"\\/bfnrt', at[1]) else 0
    # The rest of a character of two to four bytes; the second one has narrower bounds where a
    # shorter form, half of a surrogate pair, or a number above U+10FFFF would be spelt.
    if first < 0xC2 or first > 0xF4:
        return 0
    size = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    if first == 0xE0:
        low = 0xA0
    elif first == 0xED:
        high = 0x9F
    elif first == 0xF0:
        low = 0x90
    elif first == 0xF4:
        high = 0x8F
    if not low <= at[1] <= high:
        return 0
    for i in range(2, size):
        if at[i] & 0xC0 != 0x80:
            return 0
    return size


cdef inline void _space(const uint8_t** at) noexcept nogil:
    while at[0][0] == c" " or at[0][0] == c"\n" or at[0][0] == c"\r" or at[0][0] == c"\t":
        at[0] += 1


cdef inline bint _mark(const uint8_t** at, uint8_t one) noexcept nogil:
    if at[0][0] != one:
        return False
    at[0] += 1
    return True


cdef inline bint _word(const uint8_t** at, const char* word) noexcept nogil:
    cdef const uint8_t* here = at[0]
    while word[0]:
        if here[0] != word[0]:
            return False
        here += 1
        word += 1
    at[0] = here
    return True
