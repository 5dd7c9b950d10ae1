"""The text of a backup: compressed, encrypted with a
password, authenticated as a whole. Pure but slow.

    warouter-backup:2:BASE64URL of  salt (16 bytes) | nonce (12) | ciphertext and tag (16)

The key is scrypt(password, salt, N=2^17, r=8, p=1), 32 bytes; the cipher is AES-256-GCM with the
text before the base64 as associated data; what is encrypted is zlib-compressed JSON.
"""

from __future__ import annotations

import base64
import secrets
import zlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

FORM = "warouter-backup:2:"
_COST = 2**17  # N of scrypt
MOST_BYTES = 32 * 1024 * 1024  # once decompressed
_SALT, _NONCE, _TAG = 16, 12, 16


def seal(content: bytes, password: str) -> str:
    """Encrypt the content with the password. Takes about 0.4 s and 128 MiB."""
    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
    cipher = AESGCM(_key(password, salt))
    encrypted = cipher.encrypt(nonce, zlib.compress(content), FORM.encode())
    return FORM + base64.urlsafe_b64encode(salt + nonce + encrypted).decode()


def check_form(text: str) -> bytes:
    """The encrypted backup in the text; raises ValueError if it is none."""
    if not text.startswith(FORM):
        raise ValueError("it is not a backup that this version can read")
    try:
        raw = base64.b64decode(text[len(FORM) :].encode("ascii"), b"-_", validate=True)
    except ValueError as error:  # UnicodeEncodeError is one
        raise ValueError("it is damaged") from error
    if len(raw) <= _SALT + _NONCE + _TAG:
        raise ValueError("it is damaged")
    return raw


def unseal(sealed: bytes, password: str) -> bytes:
    """Decrypt the content; raises ValueError if the password or any byte is wrong."""
    salt, nonce = sealed[:_SALT], sealed[_SALT : _SALT + _NONCE]
    cipher = AESGCM(_key(password, salt))
    try:
        packed = cipher.decrypt(nonce, sealed[_SALT + _NONCE :], FORM.encode())
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


def _key(password: str, salt: bytes) -> bytes:
    return Scrypt(salt, length=32, n=_COST, r=8, p=1).derive(password.encode())
