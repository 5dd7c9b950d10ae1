"""A backup's text: compressed, encrypted with a password, and good only as a whole. Pure but slow.

    warouter-backup:1:BASE64URL of  salt (16 bytes) | nonce (12) | ciphertext and tag (16)

The key is scrypt(password, salt, N=2^15, r=8, p=1), 32 bytes; the cipher is AES-256-GCM with the
text before the base64 as associated data; what is encrypted is zlib-compressed JSON.
"""

from __future__ import annotations

import base64
import secrets
import zlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

FORM = "warouter-backup:1:"
MOST_BYTES = 32 * 1024 * 1024  # once decompressed
_SALT, _NONCE, _TAG = 16, 12, 16


def seal(content: bytes, password: str) -> str:
    """The content as text that only the password opens. About 0.1 s and 32 MiB."""
    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
    cipher = AESGCM(_key(password, salt))
    encrypted = cipher.encrypt(nonce, zlib.compress(content), FORM.encode())
    return FORM + base64.urlsafe_b64encode(salt + nonce + encrypted).decode()


def check_form(text: str) -> bytes:
    """What stands in the text, still encrypted; ValueError if it is no backup of this form."""
    if not text.startswith(FORM):
        raise ValueError("it is not a backup that this version can read")
    try:
        raw = base64.b64decode(text[len(FORM) :].encode("ascii"), b"-_", validate=True)
    except ValueError as error:  # UnicodeEncodeError is one
        raise ValueError("it is damaged") from error
    if len(raw) <= _SALT + _NONCE + _TAG:
        raise ValueError("it is damaged")
    return raw


def unseal(raw: bytes, password: str) -> bytes:
    """The content of ``check_form``'s result; ValueError if the password or a byte is wrong."""
    salt, nonce = raw[:_SALT], raw[_SALT : _SALT + _NONCE]
    try:
        packed = AESGCM(_key(password, salt)).decrypt(nonce, raw[_SALT + _NONCE :], FORM.encode())
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
    return Scrypt(salt, length=32, n=2**15, r=8, p=1).derive(password.encode())
