"""The values of a request to a page or an act, and of their answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from warouter.errors import WarouterError


class Visitor(NamedTuple):
    """The user who is logged in.

    ``session`` is the SHA-256 of the session's id, ``source`` the address that this request came
    from.
    """

    username: str
    admin: bool
    session: bytes
    source: str


class ReadingKey(NamedTuple):
    """All that a reading may depend on: who asks for the same is shown the same reading.

    ``path`` has the placeholders of the path, ``query`` the last value of each name.
    """

    path: Mapping[str, str]
    query: Mapping[str, str]
    admin: bool


class ConsoleRefusal(WarouterError):
    """Ends a reading or an act with a sentence for people; ``status`` is the HTTP status.

    ``code`` is the application's error code where the v1 API has refused.
    """

    def __init__(self, sentence: str, status: int = 400, code: int = 0) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status
        self.code = code

    @property
    def outcome(self) -> str:
        """How the audit log and the page name it."""
        return f"{self.status}/{self.code} {self.sentence}" if self.code else self.sentence


class Download(NamedTuple):
    """A file that a browser saves."""

    body: bytes
    name: str
    content_type: str = "application/json"


class ShownOnce(NamedTuple):
    """The values of ``pages/NAME.html``, which is the answer to an act itself: what it shows cannot
    be asked for again.
    """

    name: str
    title: str
    values: Mapping[str, Any]


class Done(NamedTuple):
    """The outcome of an act. ``subject`` stands in the audit log and on the page: no secret.

    ``query`` and ``back`` choose the page that is shown next; without ``back`` that of the act.
    With ``file`` the answer is that file, with ``once`` that page.
    """

    subject: str
    query: Mapping[str, str] = {}
    back: str = ""
    file: Download | None = None
    once: ShownOnce | None = None
