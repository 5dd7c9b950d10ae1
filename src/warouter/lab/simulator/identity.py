"""Identities of customers: the hash of their app's keys. Pure.

A number that messages went to or came from has an identity. It changes when the customer takes
another phone, and is then not acknowledged until the business says that it is.
"""

from __future__ import annotations

import hashlib

import msgspec


class CustomerIdentity(msgspec.Struct, frozen=True):
    """One identity; ``created_timestamp`` is in unix seconds."""

    hash: str
    created_timestamp: int
    acknowledged: bool


class _Later(msgspec.Struct):
    """An identity after the first one: number ``number``."""

    number: int
    at: int
    acknowledged: bool


class Identities:
    """One identity for each known number; the first of a number is acknowledged automatically."""

    def __init__(self) -> None:
        self._met: dict[str, int] = {}
        self._later: dict[str, _Later] = {}

    def meet(self, wa_id: str, wall: float) -> None:
        """A message was sent to the number, or came from it: it is known from here on."""
        if wa_id not in self._met:
            self._met[wa_id] = int(wall)

    def change(self, wa_id: str, wall: float) -> CustomerIdentity:
        """The customer has new keys, even if the number was not known."""
        self.meet(wa_id, wall)
        before = self._later.get(wa_id)
        number = 1 if before is None else before.number + 1
        self._later[wa_id] = _Later(number, int(wall), False)
        return self._shown(wa_id)

    def of(self, wa_id: str) -> CustomerIdentity | None:
        """The identity of a number; None if the number is not known."""
        return self._shown(wa_id) if wa_id in self._met else None

    def acknowledge(self, wa_id: str, hash: str) -> CustomerIdentity | None:
        """Acknowledge the hash and return the identity, unchanged if the hash differs."""
        identity = self.of(wa_id)
        if identity is None or identity.hash != hash:
            return identity
        if wa_id in self._later:
            self._later[wa_id].acknowledged = True
        return self._shown(wa_id)

    def doubtful(self, wa_id: str) -> bool:
        """True if the number's identity is not acknowledged."""
        later = self._later.get(wa_id)
        return later is not None and not later.acknowledged

    def _shown(self, wa_id: str) -> CustomerIdentity:
        later = self._later.get(wa_id) or _Later(0, self._met[wa_id], True)
        digest = hashlib.sha256(f"{wa_id}:{later.number}".encode()).hexdigest()
        return CustomerIdentity(digest, later.at, later.acknowledged)
