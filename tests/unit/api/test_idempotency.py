"""An Idempotency-Key is a user's own, and a user is one of a number."""

from __future__ import annotations

from hashlib import sha256

from warouter.api.messages.idempotency import key_of


def name_of(username: str, number: int = 1) -> bytes:
    key = key_of(["key"], username, b"{}", number)
    assert key is not None
    return key.name


def test_the_key_of_number_1_is_that_of_an_installation_with_one() -> None:
    assert name_of("anna") == sha256(b"anna\0key").digest()


def test_a_key_of_another_number_is_another_one() -> None:
    assert name_of("anna", 2) == sha256(b"\0\2\0\0\0anna\0key").digest()
    assert len({name_of("anna", number) for number in (1, 2, 3)}) == 3
