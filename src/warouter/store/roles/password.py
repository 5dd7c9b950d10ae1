"""Passwords of logins: in files of their own, and as the verifier that PostgreSQL keeps.

The verifier is computed here (SCRAM-SHA-256, RFC 5802 and 7677): what travels, and what a server
might log, is not the password.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from warouter.errors import CommandError
from warouter.secret import lines_of, text_of

ITERATIONS = 4096  # PostgreSQL's default; these passwords are drawn, not thought of
SALT_BYTES = 16
PASSWORD_BYTES = 32


def verifier(password: str, salt: bytes | None = None) -> str:
    """The SCRAM verifier that PostgreSQL keeps of an ASCII password; the salt is drawn."""
    salt = salt or secrets.token_bytes(SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    stored = hashlib.sha256(client).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(b).decode() for b in (salt, stored, server))
    return f"SCRAM-SHA-256${ITERATIONS}:{salt64}${stored64}:{server64}"


def password_in(folder: Path, kind: str) -> str:
    """The password in ``KIND.password``: the one that is there, or one that is drawn and written.

    Of several lines, as while it is rotated, the first: each of them is tried by who connects.
    CommandError if the file cannot be written, or is not fit for a secret.
    """
    path = folder / f"{kind}.password"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        password = lines_of(text_of(str(path)))[0] if path.exists() else _draw(path)
        if not password.isascii():
            raise ValueError("it is not ASCII: write a password of letters and digits")
    except OSError as error:
        raise CommandError(f"{path} cannot be used as a password file: {error}.") from error
    except ValueError as error:
        raise CommandError(f"{path} cannot be used: {error}.") from error
    return password


def _draw(path: Path) -> str:
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(password + "\n")
    return password
