"""Certificates: what was issued checks, whatever was touched does not."""

import base64
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from warouter.upstream.authority import NumberCertificate, check, issue, kept_key, public_bytes

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = public_bytes(KEY)
CERTIFICATE = NumberCertificate("491511234567", "Bäckerei", issued=1000, expires=2000)
CERT = issue(KEY, CERTIFICATE)


def test_an_issued_certificate_checks() -> None:
    """Whatever the line breaks; clocks may differ by five minutes."""
    for cert, now in ((CERT, 1999.9), (f"\n{CERT[:70]}\r\n{CERT[70:]}\n", 1500), (CERT, 701)):
        assert check(cert, PUBLIC, now) == CERTIFICATE


@pytest.mark.parametrize(
    ("cert", "key", "now", "sentence"),
    [
        (CERT, KEY, 2000, "expired on 1970-01-01"),
        (CERT, KEY, 699, "not valid yet"),
        (CERT, Ed25519PrivateKey.generate(), 1500, "signature is wrong"),
        (base64.b64encode(KEY.sign(b"[]") + b"[]").decode(), KEY, 1500, "malformed"),
    ],
    ids=["expired", "too early", "of another authority", "signed, but no certificate"],
)
def test_bad_certificates_are_refused(
    cert: str, key: Ed25519PrivateKey, now: int, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        check(cert, public_bytes(key), now)


@given(st.integers(0, len(base64.b64decode(CERT)) - 1), st.integers(1, 255))
def test_any_altered_byte_is_noticed(place: int, mask: int) -> None:
    raw = bytearray(base64.b64decode(CERT))
    raw[place] ^= mask
    with pytest.raises(ValueError, match="signature is wrong"):
        check(base64.b64encode(raw).decode(), PUBLIC, 1500)


@given(st.text())
def test_any_text_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"^the certificate"):
        check(text, PUBLIC, 1500)


def test_the_key_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "authority.key"
    first = kept_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert public_bytes(kept_key(path)) == public_bytes(first)
    assert [file.name for file in path.parent.iterdir()] == ["authority.key"]


def test_a_file_that_is_no_key_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "authority.key"
    path.write_bytes(b"short")
    with pytest.raises(ValueError, match="5 bytes"):
        kept_key(path)
    assert path.read_bytes() == b"short"
