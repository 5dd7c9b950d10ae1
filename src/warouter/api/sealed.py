"""The text of a backup: compressed, encrypted with a
password, authenticated as a whole. Pure but slow.

    warouter-backup:2:BASE64URL of  salt (16 bytes) | nonce (12) | ciphertext and tag (16)

The key is scrypt(password, salt, N=2^17, r=8, p=1), 32 bytes; the cipher is AES-256-GCM with the
text before the base64 as associated data; what is encrypted is zlib-compressed JSON. Form 1, which
is read and not written any more, has N=2^15.
"""

from __future__ import annotations

import base64
import secrets
import zlib
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

FORM = "warouter-backup:2:"
_COSTS = {"warouter-backup:1:": 2**15, FORM: 2**17}  # N of scrypt
MOST_BYTES = 32 * 1024 * 1024  # once decompressed
_SALT, _NONCE, _TAG = 16, 12, 16


class SealedBackup(NamedTuple):
    """A backup that is still encrypted."""

    form: str
    raw: bytes


def seal(content: bytes, password: str, form: str = FORM) -> str:
    """Encrypt the content with the password. Takes about 0.4 s and 128 MiB."""
    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
    cipher = AESGCM(_key(password, salt, form))
    encrypted = cipher.encrypt(nonce, zlib.compress(content), form.encode())
    return form + base64.urlsafe_b64encode(salt + nonce + encrypted).decode()


def check_form(text: str) -> SealedBackup:
    """The parts of the text; raises ValueError if it is not a backup of a known form."""
    form = text[: len(FORM)]
    if form not in _COSTS:
        raise ValueError("it is not a backup that this version can read")
    try:
        raw = base64.b64decode(text[len(form) :].encode("ascii"), b"-_", validate=True)
    except ValueError as error:  # UnicodeEncodeError is one
        raise ValueError("it is damaged") from error
    if len(raw) <= _SALT + _NONCE + _TAG:
        raise ValueError("it is damaged")
    return SealedBackup(form, raw)


def unseal(sealed: SealedBackup, password: str) -> bytes:
    """Decrypt the content; raises ValueError if the password or any byte is wrong."""
    form, raw = sealed
    salt, nonce = raw[:_SALT], raw[_SALT : _SALT + _NONCE]
    cipher = AESGCM(_key(password, salt, form))
    try:
        packed = cipher.decrypt(nonce, raw[_SALT + _NONCE :], form.encode())
    except InvalidTag:
        raise ValueError("the password is wrong, or the backup is damaged") from None
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(packed, MOST_BYTES)
    except zlib.error as error:
        raise ValueError("it is damaged") from error
    if not unpacker.eof:
        raise ValueError("it is too large")
    return content


def _key(password: str, salt: bytes, form: str) -> bytes:
    return Scrypt(salt, length=32, n=_COSTS[form], r=8, p=1).derive(password.encode())
