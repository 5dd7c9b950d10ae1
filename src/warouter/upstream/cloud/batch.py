"""The contents of a webhook of Meta: elements, notices, counts of what was left out. Pure."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import NamedTuple

import msgspec

from warouter.errors import WarouterError

# Kinds of rows of ``cloud_inbox``: stored, so the numbers never change. A word is an answer of the
# Graph API that came to an owner that had lost the slot; no webhook brings one.
STATUS, INBOUND, WORD, ERROR = INBOX_KINDS = 0, 1, 2, 3
# What becomes of what customers say while somebody else answers them.
OFF, MARK, PASS = MODES = "off", "mark", "pass"

LONGEST_ID = 512  # characters of a wamid
LONGEST_KEY = 512


class Unreadable(WarouterError):
    """A webhook that is no JSON object: ``reason`` says why, and nothing of it can be used."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Modes(NamedTuple):
    """WAROUTER_CLOUD_STANDBY and WAROUTER_CLOUD_ECHOES: one of MODES each."""

    standby: str = OFF
    echoes: str = OFF


KEEPS = Modes()


class KeptElement(NamedTuple):
    """An element that calls nobody back and may still be wanted, as it came.

    ``key`` is unique among those of its ``number``.
    """

    key: str
    field: str
    raw: bytes
    number: int


class Element(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A status, an inbound message or an error; what is not told is empty.

    ``key`` is unique among those of its ``number``. All texts are without NUL; ``key``, ``wamid``,
    ``reference``, ``status``, the phone numbers and the ids of users are printable and at most 512
    characters long. ``wa_id`` (digits) and ``user_id`` are the customer's. A system message may say
    who that was: then ``previous_user_id`` or ``changed_to`` is set, and the customer was
    (``wa_id``, ``previous_user_id``) and is (``changed_to`` or else ``wa_id``, ``user_id``) from
    now on. Such a message may name the customer by nothing but ``user_id``.
    """

    kind: int
    key: str
    raw: bytes  # its JSON
    contact: bytes = b""  # JSON of its element of contacts[]; only of an inbound message
    wamid: str = ""
    status: str = ""  # of a status, as Meta names it
    reference: str = ""  # ours, see the module of this name
    wa_id: str = ""
    user_id: str = ""
    parent_user_id: str = ""
    username: str = ""
    name: str = ""
    previous_user_id: str = ""
    changed_to: str = ""  # the new wa_id
    identity_hash: str = ""
    identity_changed: bool = False  # the webhook says that the customer had another identity before
    timestamp: int = 0  # unix s by Meta's clock
    number: int = 1  # to which it came

    @property
    def unique(self) -> tuple[int, str]:
        """Number and key, which are unique together."""
        return self.number, self.key


class NoticeAction(Enum):
    """The action that a notice asks for."""

    LOG = "log"
    ACCOUNT = "account"  # something is said about the account: log, count, show in the health
    LEVEL = "level"  # read the number's rate level again
    TEMPLATES = "templates"  # read the templates again


class Notice(msgspec.Struct, frozen=True):
    """A notice of Meta's about the account.

    ``raw`` is the JSON of the change's value, ``account`` the id of its entry, "" without one.
    """

    field: str
    raw: bytes
    action: NoticeAction
    account: str = ""

    @property
    def said(self) -> str:
        """The value for people."""
        return self.raw.decode(errors="replace").replace("\0", "\ufffd")


class Batch(msgspec.Struct):
    """The contents of one webhook, in its order, each key once.

    ``counted`` counts what was left out by its kind: unreadable, old, foreign_number,
    unknown_object, unknown_field, repeated, group, history, call, flow. ``left_out`` counts what
    may carry a customer's words and calls nobody back, by the name of its field, and ``kept`` is
    what of it may still be wanted. ``reason`` says why the first unreadable or old part is so.
    ``newest`` is the greatest time of the elements (unix s), 0 without one.
    """

    elements: list[Element] = []
    notices: list[Notice] = []
    kept: list[KeptElement] = []
    counted: Counter[str] = msgspec.field(default_factory=Counter)
    left_out: Counter[str] = msgspec.field(default_factory=Counter)
    newest: int = 0
    reason: str = ""
