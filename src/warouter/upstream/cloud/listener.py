"""Answers Meta's webhooks, from the handshake to the commit.

``http.intake`` carries it. Meta takes nothing but 200 for an answer, and repeats whatever had
another one for days; so what is signed and can never be used is answered 200 as well, and counted.
Without a signature nothing is read: anybody may send it.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol
from urllib.parse import parse_qs

from warouter.cloud_number import FIRST
from warouter.cloud_settings import WEBHOOK_PATH
from warouter.upstream.cloud.batch import KEEPS, Batch, Modes, Notice, NoticeAction, Unreadable
from warouter.upstream.cloud.elements import NOTICES, UNREADABLE, WORDS, read
from warouter.upstream.cloud.signature import FIELD, is_formed, is_signed

log = logging.getLogger(__name__)

PATH = WEBHOOK_PATH.encode()
# Meta says 3 MB; a proxy may add to the spelling, and what is too large would never get through.
MOST_BYTES = 4 << 20
_LONGEST_CHALLENGE = 256
SAY_SECONDS = 60.0
MOST_NAMES = 50  # of fields that nobody knows
UNKNOWN = "unknown"


class WebhookAnswer(NamedTuple):
    """``text`` is plain and for people, but for the challenge of the handshake."""

    status: int
    text: str = ""


TAKEN = WebhookAnswer(200)
UNSIGNED = WebhookAnswer(401, "X-Hub-Signature-256 has to be sha256= and 64 hex digits")
TOO_LARGE = WebhookAnswer(413, f"the body is larger than {MOST_BYTES} bytes")
UNAVAILABLE = WebhookAnswer(503, "not stored; send it again")
_WRONG = WebhookAnswer(401, "the signature is wrong")
_NOT_FOUND = WebhookAnswer(404, f"webhooks are at {PATH.decode()}")
_NOT_ALLOWED = WebhookAnswer(405, "GET and POST are allowed")
WRONG_VERIFY_TOKEN = "the verify token is wrong"
_REFUSED = WebhookAnswer(403, WRONG_VERIFY_TOKEN)


class WebhookStore(Protocol):
    """Where it goes: see ``store.cloud.posts``."""

    async def take(self, batch: Batch) -> bool: ...

    async def keep(self, app: int, reason: str, body: bytes) -> bool: ...

    def broken(self) -> None: ...

    def in_vain(self, *, lasts: bool) -> None: ...


class WebhookListener:
    """Answers the requests to one webapp's webhook. ``counts`` has them by result, ``notices`` what
    Meta said of the account and the number, by its field, ``left_out`` what may be a customer's
    words and called nobody back, by its field, or as UNKNOWN.

    ``owned`` are the numbers of ``app`` by their phone number ids. ``secrets`` are the app's, asked
    for at each request since they may be replaced.
    """

    def __init__(
        self,
        owned: Mapping[str, int],
        secrets: Callable[[], Sequence[str]],
        verify_token: Callable[[], str],
        inbox: WebhookStore,
        modes: Modes = KEEPS,
        clock: Callable[[], float] | None = None,
        app: int = FIRST,
    ) -> None:
        self._app = app
        self._owned = owned
        self._secrets = secrets
        self._verify_token = verify_token
        self._inbox = inbox
        self._modes = modes
        self._clock = clock or time.time  # unix s
        self._say_due = 0.0
        self._said: set[str] = set()  # fields of which the log knows
        self._refused_under: set[str] | None = None  # the secrets since the first in vain
        self.taken_at = time.monotonic()  # the last one, or since when there was none
        self.counts: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter(dict.fromkeys((*WORDS, UNKNOWN), 0))
        self.notices: Counter[str] = Counter(dict.fromkeys(NOTICES, 0))

    def asked(
        self, method: bytes, target: bytes, fields: Mapping[bytes, bytes], length: int
    ) -> WebhookAnswer | None:
        """The answer to a request by its head alone; None if its body is to be read and ``posted``.

        ``length`` of the body in bytes, negative if that shows at its end only.
        """
        path, _, query = target.partition(b"?")
        if path != PATH:
            return self._counted("not_found", _NOT_FOUND)
        if method == b"GET":
            return self._handshake(query)
        if method != b"POST":
            return self._counted("not_allowed", _NOT_ALLOWED)
        if not is_formed(fields.get(FIELD, b"")):
            return self._counted("unsigned", UNSIGNED)
        if length > MOST_BYTES:
            return self.too_large()
        return None

    async def posted(self, body: bytes, signature: bytes) -> WebhookAnswer:
        """The answer to a body whose head was ``asked`` about."""
        if not is_signed(body, signature, self._secrets()):
            if any(each.encode() in body for each in self._owned):  # Meta always names the number
                self.in_vain()
            return self._counted("wrong_signature", _WRONG)
        self._rightly_signed()
        try:
            batch = read(body, self._owned, int(self._clock()), self._modes)
        except Unreadable as error:
            return await self._unreadable(error.reason, body)
        if batch.reason:
            self._say_unreadable(batch)
        if not await self._inbox.take(batch):
            return self.unavailable()
        for notice in batch.notices:
            self._notice(notice)
        for field, count in batch.left_out.items():
            self._left_out(field, count)
        self.taken_at = time.monotonic()
        return self._counted("taken", TAKEN)

    def too_large(self) -> WebhookAnswer:
        return self._counted("too_large", TOO_LARGE)

    def unavailable(self) -> WebhookAnswer:
        """There is no room for it, or it was not committed."""
        self._inbox.broken()
        return self._counted("unavailable", UNAVAILABLE)

    def in_vain(self) -> None:
        """Note a refusal of Meta or a stranger: the next rightly signed webhook tells which."""
        secrets = set(self._secrets())
        if self._refused_under is None:
            self._refused_under = secrets
            self._inbox.in_vain(lasts=True)
        self._refused_under &= secrets

    def _rightly_signed(self) -> None:
        """Meta signs as it did when others were refused: strangers. Under a secret that has been
        added since, they may have been Meta, and what they held comes later.
        """
        if self._refused_under is None:
            return
        if not self._refused_under.issuperset(self._secrets()):
            self._inbox.broken()
        self._refused_under = None
        self._inbox.in_vain(lasts=False)

    async def _unreadable(self, reason: str, body: bytes) -> WebhookAnswer:
        log.error("webhook quarantined", extra={"reason": reason, "bytes": len(body)})
        if not await self._inbox.keep(self._app, reason, body):
            return self.unavailable()
        await self._inbox.take(Batch(left_out=Counter({UNREADABLE: 1})))
        self._left_out(UNREADABLE, 1)
        return self._counted("unreadable", TAKEN)

    def _say_unreadable(self, batch: Batch) -> None:
        """Once a minute: whatever Meta changes, it changes in all of them."""
        if time.monotonic() >= self._say_due:
            self._say_due = time.monotonic() + SAY_SECONDS
            count = batch.counted["unreadable"] + batch.counted["old"]
            extra = {"count": count, "reason": batch.reason}
            log.warning("webhook elements skipped", extra=extra)

    def _left_out(self, field: str, count: int) -> None:
        self.left_out[field if field in WORDS else UNKNOWN] += count
        if field not in self._said and len(self._said) < MOST_NAMES:
            self._said.add(field)
            log.warning("webhook field left out", extra={"field": field, "count": count})

    def _notice(self, notice: Notice) -> None:
        level = logging.WARNING if notice.action is NoticeAction.ACCOUNT else logging.INFO
        said = {"field": notice.field, "account": notice.account, "value": notice.said[:2_000]}
        log.log(level, "notice received", extra=said)
        self.notices[notice.field] += 1

    def _handshake(self, query: bytes) -> WebhookAnswer:
        mode, token, challenge = _asked_in(query)
        right = hmac.compare_digest(token.encode(), self._verify_token().encode())
        if mode != "subscribe" or not right or not 0 < len(challenge) <= _LONGEST_CHALLENGE:
            return self._counted("handshake_refused", _REFUSED)
        log.info("webhook handshake completed")
        return self._counted("handshake", WebhookAnswer(200, challenge))

    def _counted(self, result: str, answer: WebhookAnswer) -> WebhookAnswer:
        self.counts[result] += 1
        return answer


def _asked_in(query: bytes) -> tuple[str, str, str]:
    """Mode, verify token and challenge of a handshake; each "" if it is not there."""
    try:
        asked = parse_qs(query.decode("ascii", "replace"), max_num_fields=20)
    except ValueError:  # too many fields
        asked = {}
    mode, token, challenge = (
        asked.get(f"hub.{name}", [""])[0] for name in ("mode", "verify_token", "challenge")
    )
    return mode, token, challenge
