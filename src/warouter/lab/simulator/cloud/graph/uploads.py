"""The Resumable Upload API: a session is begun, takes the content, and gives a handle.

Nothing is kept of content that is refused, so a session that is resumed begins at 0 again.
"""

from __future__ import annotations

import base64
import secrets
from typing import NamedTuple, TypeVar

from warouter.lab.simulator.cloud.graph.errors import PARAMETER, GraphError
from warouter.lab.simulator.cloud.graph.number_node import Given

PREFIX = "upload:"
SCHEME = "oauth"  # of the token, at a session
_TYPES = ("application/pdf", "image/jpeg", "image/jpg", "image/png", "video/mp4")
T = TypeVar("T")
_MOST = 100  # sessions and handles that are remembered


class UploadedContent(NamedTuple):
    """The content of a handle."""

    mime: str
    content: bytes


class _UploadSession(NamedTuple):
    mime: str
    size: int
    name: str
    signature: str


class UploadSessions:
    """The sessions of the app, and what was uploaded; both are forgotten, the oldest first."""

    def __init__(self) -> None:
        self._sessions: dict[str, _UploadSession] = {}
        self._handles: dict[str, UploadedContent] = {}

    def begin(self, given: Given) -> Given:
        """POST of the app's edge ``uploads``: length, type and name of the content."""
        try:
            size = int(str(given.get("file_length", "")))
        except ValueError:
            size = 0
        if size <= 0:
            raise GraphError(PARAMETER, "Param file_length must be the number of bytes.")
        mime, name = str(given.get("file_type", "")), str(given.get("file_name", ""))
        if mime not in _TYPES:
            raise GraphError(PARAMETER, f"Param file_type must be one of {{{', '.join(_TYPES)}}}")
        if not name:
            raise GraphError(PARAMETER, "The parameter file_name is required.")
        id = PREFIX + base64.urlsafe_b64encode(b"1:attachment:" + secrets.token_bytes(24)).decode()
        session = _UploadSession(mime, size, name, secrets.token_urlsafe(16))
        _keep(self._sessions, id, session)
        return {"id": f"{id}?sig={session.signature}"}

    def progress(self, id: str, given: Given) -> Given:
        """GET of a session: how much of the content has come."""
        self._session(id, given)
        return {"id": id, "file_offset": 0}

    def take(self, id: str, given: Given, offset: str, body: bytes) -> Given:
        """POST of a session: the content, all of it."""
        session = self._session(id, given)
        if offset != "0":
            raise GraphError(PARAMETER, "The header file_offset must be 0.")
        if len(body) != session.size:
            raise GraphError(
                PARAMETER, f"The content has {len(body)} bytes, and file_length is {session.size}."
            )
        del self._sessions[id]
        name = base64.b64encode(session.name.encode()).decode()
        handle = f"4:{name}:{session.mime}:{secrets.token_urlsafe(24)}:e:1"
        _keep(self._handles, handle, UploadedContent(session.mime, body))
        return {"h": handle}

    def find(self, handle: str) -> UploadedContent | None:
        """The upload of this handle."""
        return self._handles.get(handle)

    def _session(self, id: str, given: Given) -> _UploadSession:
        session = self._sessions.get(id)
        if session is None or given.get("sig") != session.signature:
            raise GraphError(PARAMETER, "The upload session does not exist, or has ended.")
        return session


def _keep(kept: dict[str, T], id: str, value: T) -> None:
    kept[id] = value
    if len(kept) > _MOST:
        del kept[next(iter(kept))]
