"""Judges a complete answer to ``POST …/messages``. Pure.

Meta's ``code`` decides where there is one, as titles and HTTP statuses of errors change. An answer
that is none of the Graph API, a proxy's page or half a body, proves nothing: the message may have
been taken. ``is_transient`` says "try again", not "was not taken": it keeps a refusal from being
final, and makes nothing certain that is in doubt.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from warouter import codes
from warouter.recipient import MAX_DIGITS
from warouter.upstream.cloud.meanings import (
    DOUBT,
    GONE,
    PARAMETER,
    TABLE,
    UNKNOWN,
    Class,
    Meaning,
    meaning_of,
)

__all__ = ["Class", "Judged", "bounded", "judge", "judge_mark", "status_error"]

MOST_DETAILS = 2000  # characters, as in the native protocol
MOST_ID = 512  # characters of a wamid; user ids have fewer
MOST_WAIT_MS = 300_000

# Meta repeats a token that it cannot read: "Malformed access token EAAG…".
_TOKEN = re.compile(r"\bEAA[0-9A-Za-z]{20,}")
_MEDIA_GONE = (131053, PARAMETER)


class Judged(msgspec.Struct, frozen=True, gc=False):
    """An answer, judged. ``code`` is v1's (0 if taken), ``meta_code`` Meta's (-1 if none).

    ``details`` are Meta's words. ``slower``: the number sends at too high a rate. ``limited``: it
    may call no more for a while. ``rest_ms``: nothing is to be sent for so long, as the answer
    asks. ``strange``: final, with a code that nobody knows. ``held``: no status comes before Meta
    has made up its mind. ``alarm``: the operator should know.
    """

    cls: Class
    code: int = 0
    title: str = ""
    details: str = ""
    wait_ms: int = 0
    meta_code: int = -1
    slower: bool = False
    limited: bool = False
    rest_ms: int = 0
    strange: bool = False
    wamid: str = ""
    wa_id: str = ""
    user_id: str = ""
    held: bool = False
    alarm: bool = False

    @property
    def upload_again(self) -> bool:
        """An uploaded media may be gone: worth one more upload before the answer is final."""
        return self.meta_code in _MEDIA_GONE


def judge(status: int, body: bytes, retry_after: str = "") -> Judged:
    """Judge a complete HTTP answer; never raises, whatever the bytes."""
    if 200 <= status < 300:
        return _taken(body) or _unreadable(status)
    meta, transient = _code(body)
    meaning = meaning_of(status, meta, transient=transient)
    rest_ms = 0 if meaning.cls is Class.LANE else _asked_ms(retry_after)
    if meta < 0 and meaning is DOUBT:
        return _unreadable(status, rest_ms)
    return Judged(
        meaning.cls,
        meaning.code,
        codes.title(meaning.code),
        _words(body) or f"the Graph API answered HTTP {status}",
        _wait_ms(meaning, retry_after),
        meta,
        slower=meaning.slower,
        limited=meaning.limited,
        rest_ms=rest_ms,
        strange=meaning is UNKNOWN,
        alarm=meaning.alarm,
    )


def judge_mark(status: int, body: bytes, retry_after: str = "") -> Judged:
    """Judge the answer to a read mark: it names no message, and any success will do."""
    if 200 <= status < 300:
        return Judged(Class.TAKEN)
    return judge(status, body, retry_after)


def status_error(code: int, title: str = "", details: str = "") -> dict[str, Any]:
    """The v1 element of ``errors[]`` for one of a ``failed`` webhook: the v1 code, Meta's words.

    Its ``href`` is ours: Meta's leads to another code, and is relative to a site of Meta's.
    """
    return codes.error_object(TABLE.get(code, UNKNOWN).code, "", bounded(details or title))


def bounded(words: str) -> str:
    """Words as they can be stored: 2000 characters at most, and no NUL."""
    return words[:MOST_DETAILS].replace("\0", "")


def _wait_ms(meaning: Meaning, retry_after: str) -> int:
    return max(_asked_ms(retry_after), meaning.wait_ms) if meaning.wait_ms else 0


def _asked_ms(retry_after: str) -> int:
    """The wait that the field ``Retry-After`` asks for, 0 if it is none or a date."""
    given = retry_after.strip()
    asked = int(given) * 1000 if given.isascii() and given.isdigit() and len(given) < 9 else 0
    return min(asked, MOST_WAIT_MS)


def _unreadable(status: int, rest_ms: int = 0) -> Judged:
    details = f"HTTP {status} with a body that is no answer of the Graph API"
    title = codes.title(DOUBT.code)
    return Judged(Class.DOUBT, DOUBT.code, title, details, rest_ms=rest_ms)


# ---------------------------------------------------------------- bodies


class _ErrorNumber(msgspec.Struct):
    code: int
    error_subcode: int | str | None = None
    is_transient: Any = False


class _Numbered(msgspec.Struct):
    error: _ErrorNumber


class _Data(msgspec.Struct):
    details: str | None = None


class _Said(msgspec.Struct):
    message: str | None = None
    error_user_msg: str | None = None
    error_data: _Data | None = None


class _Words(msgspec.Struct):
    error: _Said


class _Sent(msgspec.Struct):
    id: str
    message_status: str | None = None


class _Accepted(msgspec.Struct):
    messages: list[_Sent]
    contacts: msgspec.Raw = msgspec.Raw(b"[]")


class _Contact(msgspec.Struct):
    wa_id: str | None = None
    user_id: str | None = None


# Apart, so that words or contacts of an odd form cost neither the code nor the wamid.
_NUMBERED = msgspec.json.Decoder(_Numbered, strict=False)
_WORDS = msgspec.json.Decoder(_Words)
_ACCEPTED = msgspec.json.Decoder(_Accepted)
_CONTACTS = msgspec.json.Decoder(list[_Contact])
_BROKEN = (msgspec.MsgspecError, ValueError, RecursionError)


def _code(body: bytes) -> tuple[int, bool]:
    """Meta's code in a Graph error, -1 if the body is none; and whether it says that it passes."""
    try:
        error = _NUMBERED.decode(body).error
    except _BROKEN:
        return -1, False
    code, transient = error.code, error.is_transient is True
    if code == PARAMETER and error.error_subcode in (33, "33"):
        return GONE, transient  # an older spelling of it: no such number, or not for this token
    return (code if 0 <= code < 1 << 31 else -1), transient


def _words(body: bytes) -> str:
    try:
        said = _WORDS.decode(body).error
    except _BROKEN:
        return ""
    details = said.error_data.details if said.error_data is not None else None
    return _TOKEN.sub("(token)", bounded(details or said.error_user_msg or said.message or ""))


def _taken(body: bytes) -> Judged | None:
    """The answer to a message that was taken, None if the body names none."""
    try:
        accepted = _ACCEPTED.decode(body)
    except _BROKEN:
        return None
    sent = accepted.messages[0] if accepted.messages else None
    if sent is None or not 0 < len(sent.id) <= MOST_ID or "\0" in sent.id:
        return None
    wa_id, user_id = _names(accepted.contacts)
    held = sent.message_status in ("held_for_quality_assessment", "paused")
    return Judged(Class.TAKEN, wamid=sent.id, wa_id=wa_id, user_id=user_id, held=held)


def _names(raw: msgspec.Raw) -> tuple[str, str]:
    """The number and the BSUID of the recipient, each empty if it is absent or no such thing."""
    try:
        contacts = _CONTACTS.decode(raw)
    except _BROKEN:
        return "", ""
    first = contacts[0] if contacts else _Contact()
    wa_id, user_id = first.wa_id or "", first.user_id or ""
    is_number = len(wa_id) <= MAX_DIGITS and wa_id.isascii() and wa_id.isdigit()
    is_name = len(user_id) <= MOST_ID and "\0" not in user_id
    return wa_id if is_number else "", user_id if is_name else ""
