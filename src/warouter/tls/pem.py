"""Splits PEM text into blocks and makes TLS contexts from it; ``certificate`` checks meanings."""

from __future__ import annotations

import os
import re
import ssl

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----.*?-----END \1-----", re.DOTALL)
# Only what encrypts and authenticates in one, with a key of its own for each connection.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def blocks(text: str) -> list[tuple[str, str]]:
    """Each block as (label, text), such as ``("CERTIFICATE", "-----BEGIN ...")``."""
    return [(found[1], found[0] + "\n") for found in _BLOCK.finditer(text)]


def certificates(text: str) -> str:
    """The certificate blocks only."""
    return "".join(block for label, block in blocks(text) if label == "CERTIFICATE")


def server_context(text: str) -> ssl.SSLContext:
    """A server's context with the certificates and the private key in ``text``, leaf first.

    ssl.SSLError when they are damaged, weak or do not belong together, or the key is encrypted.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    load(context, text)
    return context


def load(context: ssl.SSLContext, text: str) -> None:
    """Let a context show the certificates in ``text``, leaf first, with the private key in it.

    ssl.SSLError as in ``server_context``.
    """
    # OpenSSL reads files only; this one has no place on any disk, since there is a key in it.
    descriptor = os.memfd_create("pem")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(text.encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
    finally:
        os.close(descriptor)
