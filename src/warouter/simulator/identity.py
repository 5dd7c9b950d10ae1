"""The identities of customers: the hash of the keys that their app has. Pure.

A number that messages went to or came from has an identity. It changes when the customer takes
another phone, and is then not acknowledged until the business says that it is.
"""

from __future__ import annotations

import hashlib

import msgspec


class Identity(msgspec.Struct, frozen=True):
    """``created_timestamp`` is unix seconds."""

    hash: str
    created_timestamp: int
    acknowledged: bool


class _Later(msgspec.Struct):
    """An identity after the first one: the ``number``-th."""

    number: int
    at: int
    acknowledged: bool


class Identities:
    """One of each number that was met; the first of a number is acknowledged by itself."""

    def __init__(self) -> None:
        self._met: dict[str, int] = {}
        self._later: dict[str, _Later] = {}

    def meet(self, wa_id: str, wall: float) -> None:
        """A message went to the number, or came from it."""
        if wa_id not in self._met:
            self._met[wa_id] = int(wall)

    def change(self, wa_id: str, wall: float) -> Identity:
        """The customer has new keys, also one that was never met."""
        self.meet(wa_id, wall)
        before = self._later.get(wa_id)
        number = 1 if before is None else before.number + 1
        self._later[wa_id] = _Later(number, int(wall), False)
        return self._shown(wa_id)

    def of(self, wa_id: str) -> Identity | None:
        """None if the number was never met."""
        return self._shown(wa_id) if wa_id in self._met else None

    def acknowledge(self, wa_id: str, hash: str) -> Identity | None:
        """The identity after the business named its hash: unchanged if that is another one."""
        identity = self.of(wa_id)
        if identity is None or identity.hash != hash:
            return identity
        if wa_id in self._later:
            self._later[wa_id].acknowledged = True
        return self._shown(wa_id)

    def doubtful(self, wa_id: str) -> bool:
        """Whether the number has an identity that is not acknowledged."""
        later = self._later.get(wa_id)
        return later is not None and not later.acknowledged

    def _shown(self, wa_id: str) -> Identity:
        later = self._later.get(wa_id) or _Later(0, self._met[wa_id], True)
        digest = hashlib.sha256(f"{wa_id}:{later.number}".encode()).hexdigest()
        return Identity(digest, later.at, later.acknowledged)
