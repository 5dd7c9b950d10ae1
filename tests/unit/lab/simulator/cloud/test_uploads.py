"""The Resumable Upload API of the Cloud door."""

from __future__ import annotations

from typing import Any

import pytest

from warouter.lab.simulator.cloud.graph.errors import PARAMETER, GraphError
from warouter.lab.simulator.cloud.graph.uploads import UploadSessions

GOOD = {"file_length": "4", "file_type": "image/png", "file_name": "a.png"}


def begun(uploads: UploadSessions, **given: Any) -> tuple[str, dict[str, Any]]:
    """The id of a session, and the query that its URL has."""
    id, _, signature = str(uploads.begin(GOOD | given)["id"]).partition("?sig=")
    return id, {"sig": signature}


def test_content_becomes_a_handle() -> None:
    uploads = UploadSessions()
    id, query = begun(uploads)
    assert id.startswith("upload:")
    assert uploads.progress(id, query) == {"id": id, "file_offset": 0}
    handle = uploads.take(id, query, "0", b"data")["h"]
    assert uploads.find(handle) == ("image/png", b"data")
    assert uploads.find("another") is None
    with pytest.raises(GraphError, match="has ended"):
        uploads.take(id, query, "0", b"data")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"file_length": "0"}, "file_length"),
        ({"file_length": "x"}, "file_length"),
        ({"file_type": "image/gif"}, "file_type"),
        ({"file_name": ""}, "file_name"),
    ],
)
def test_a_session_that_is_refused(given: dict[str, str], words: str) -> None:
    with pytest.raises(GraphError, match=words) as refused:
        UploadSessions().begin(GOOD | given)
    assert refused.value.code == PARAMETER


@pytest.mark.parametrize(
    ("offset", "body", "words"),
    [
        ("1", b"data", "file_offset"),
        ("", b"data", "file_offset"),
        ("0", b"dat", "3 bytes, and file_length is 4"),
        ("0", b"datas", "5 bytes"),
    ],
)
def test_content_that_is_refused_leaves_the_session_as_it_was(
    offset: str, body: bytes, words: str
) -> None:
    uploads = UploadSessions()
    id, query = begun(uploads)
    with pytest.raises(GraphError, match=words):
        uploads.take(id, query, offset, body)
    assert uploads.take(id, query, "0", b"data")


def test_a_session_needs_its_signature() -> None:
    uploads = UploadSessions()
    id, _ = begun(uploads)
    with pytest.raises(GraphError, match="does not exist"):
        uploads.take(id, {"sig": "other"}, "0", b"data")


def test_the_oldest_are_forgotten() -> None:
    uploads = UploadSessions()
    first, query = begun(uploads)
    for _ in range(100):
        begun(uploads)
    with pytest.raises(GraphError):
        uploads.progress(first, query)
