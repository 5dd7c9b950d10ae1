"""The signature of Meta's webhooks, held against a vector that other programs agree on."""

from __future__ import annotations

import pytest

from warouter.upstream.cloud.signature import is_signed, sign

BODY = (
    rb'{"object":"whatsapp_business_account","entry":[{"id":"0","changes":[]}],'
    rb'"note":"\u00e4\ud83d\udc4d \/ <"}'
)
SECRET = "app-secret-1"
SIGNED = b"sha256=d0edaafcd3e754d23eb9534a689d6ea89f0a7adf1fcf0d46629ea696ca7b3355"


def test_the_vector() -> None:
    assert len(BODY) == 105
    assert sign(BODY, SECRET).encode() == SIGNED
    assert is_signed(BODY, SIGNED, [SECRET])
    assert is_signed(BODY, b"sha256=" + SIGNED[7:].upper(), [SECRET])


def test_each_of_two_secrets_is_in_force() -> None:
    assert is_signed(BODY, SIGNED, ["other", SECRET])
    assert is_signed(BODY, SIGNED, [SECRET, "other"])
    assert not is_signed(BODY, SIGNED, ["other"])
    assert not is_signed(BODY, SIGNED, [])


@pytest.mark.parametrize("at", [0, 50, 104])
def test_a_changed_byte_is_seen(at: int) -> None:
    changed = BODY[:at] + bytes([BODY[at] ^ 1]) + BODY[at + 1 :]
    assert not is_signed(changed, SIGNED, [SECRET])


@pytest.mark.parametrize(
    "said",
    [b"", b"sha256=", SIGNED[:-1], SIGNED + b"0", SIGNED[7:], b"sha1=" + SIGNED[7:],
     b"sha256=" + b"g" * 64, SIGNED + b"\n", b"sha256=" + b"\xff" * 64],
)  # fmt: skip
def test_anything_else_is_no_signature(said: bytes) -> None:
    assert not is_signed(BODY, said, [SECRET])
