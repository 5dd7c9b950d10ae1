"""The counters in the record of the Cloud door. Pure."""

from __future__ import annotations

import msgspec


class CloudCounters(msgspec.Struct, kw_only=True):
    """Numbers since the last ``forget``."""

    received: int = 0
    """Requests for a message that came as a whole, with the token and a body that can be read."""
    accepted: int = 0
    """Messages that were taken, duplicates too: each exists at this side."""
    unique: int = 0
    """Ids that were taken."""
    same_reference: int = 0
    """Acceptances of a reference that had been taken before; an attempt sent twice."""
    begun_again: int = 0
    """Requests whose reference had come before."""
    begun_again_open: int = 0
    """Of those: the request before was taken, or not answered with a refusal."""
    inversions: int = 0
    """First acceptances below an id that had already been taken for the same recipient."""
    answered: int = 0
    """Answers with 200 that were written as a whole."""
    refused: int = 0
    """Requests that were answered with an error, and took nothing."""
    unreadable: int = 0
    """Requests with a body that is refused before it counts as a message."""
    unauthorized: int = 0
    """Calls of any path without a valid token."""
    read_marks: int = 0
    """Inbound messages that were marked as read, each counted once."""
    typing: int = 0
    """Typing indicators."""
    inbound: int = 0
    """Inbound messages injected."""
    media_uploads: int = 0
    media_bytes: int = 0
    media_lookups: int = 0
    media_downloads: int = 0
    media_unknown: int = 0
    """Messages that were refused since nobody had uploaded what they name."""


class WebhookCounters(msgspec.Struct, kw_only=True):
    """POSTs since the last ``forget``."""

    sent: int = 0
    """First attempts, a second app's too."""
    acknowledged: int = 0
    retried: int = 0
    failed: int = 0
    """Attempts that were not answered 200, an outage's too."""
    dead: int = 0
    """POSTs that were given up."""
    elements: int = 0
    """Statuses and messages that were acknowledged."""
    handshakes: int = 0
    handshakes_failed: int = 0
