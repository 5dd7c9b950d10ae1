"""TLS of the public port: with the certificate of the
database if there is one, else with that of the files.

A new certificate is in force for the handshakes after it; connections that are open go on. Each
certificate has a context of its own, chosen in the handshake: loaded into the one that listens, an
EC certificate would stay beside an RSA one, and clients would still be shown it.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any

from warouter.errors import CommandError
from warouter.log import Outage
from warouter.stored import text_of
from warouter.tls import mutual, pem

log = logging.getLogger(__name__)

FILES_SECONDS = 5.0  # between two looks at the files


class ServerTls:
    """``context`` is for the listening socket, from the first
    ``adopt`` on; ``chain`` is what clients see.

    The files may be "" as long as the database has a certificate. With ``ca_file`` clients have to
    show a certificate of these authorities: each context asks for it, since the one that is chosen
    in a handshake also verifies it.
    """

    context: ssl.SSLContext

    def __init__(self, cert_file: str, key_file: str, ca_file: str = "") -> None:
        self._cert_file = cert_file
        self._key_file = key_file
        self._ca_file = ca_file
        self._served = ""
        self._source = ""  # of it: the database, or the file
        self._asked = b""  # the authorities of clients, as they were in their file
        self._current: ssl.SSLContext | None = None

    @property
    def chain(self) -> str:
        """The served certificates in PEM, leaf first."""
        return pem.certificates(self._served)

    def adopt(self, stored: Any) -> None:
        """Serve with ``{"chain", "key"}`` (PEM), or with the files if it is empty.

        What cannot be used leaves the certificate that is in force; at first, that of the files.
        CommandError if there is nothing to serve with.
        """
        if stored != {}:
            text = text_of(stored, "chain", "key")
            if text is None:
                log.error("stored certificate rejected", extra={"error": "no PEM"})
            elif self._serve(text, "database"):
                return
            if self._current is not None:
                return
        self._serve(self._of_files(), self._cert_file)

    def refresh(self) -> None:
        """If the files serve, serve with what is in them now; CommandError if it is unusable."""
        if self._source == self._cert_file:
            self._serve(self._of_files(), self._cert_file)

    def _serve(self, text: str, source: str) -> bool:
        """Serve with this PEM text; True on success, CommandError if the files cannot be used."""
        asked = mutual.authorities(self._ca_file)
        if text == self._served and asked == self._asked:
            self._source = source
            return True
        try:
            context = pem.server_context(text)
            if self._ca_file:
                mutual.ask(context, self._ca_file)
        except (ssl.SSLError, OSError, ValueError) as error:
            if source == self._cert_file:
                raise self._unusable(error) from error
            # Checked when it was stored: written by another hand, or by an older OpenSSL.
            log.error("stored certificate rejected", extra={"error": str(error)})
            return False
        if self._current is None:
            self.context = context
            self.context.sni_callback = self._choose
        self._current, self._served = context, text
        self._source, self._asked = source, asked
        log.info("certificate activated", extra={"source": source})
        return True

    def _choose(self, handshake: ssl.SSLObject, _name: str | None, _base: ssl.SSLContext) -> None:
        """Choose the context for a handshake; called also for clients that name no host."""
        assert self._current is not None
        handshake.context = self._current

    def _of_files(self) -> str:
        if not self._cert_file or not self._key_file:
            raise CommandError(
                "No certificate: set WAROUTER_TLS_CERT and WAROUTER_TLS_KEY to PEM files,"
                " or WAROUTER_NO_TLS=1 behind a proxy that terminates TLS."
            )
        try:
            return f"{Path(self._cert_file).read_text()}\n{Path(self._key_file).read_text()}"
        except (OSError, UnicodeDecodeError) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> CommandError:
        return CommandError(
            f"The certificate {self._cert_file} with the key {self._key_file}"
            f" cannot be loaded ({error}): give PEM files of the certificate with its chain, and of"
            " the private key that belongs to it, that the account of this process may read."
        )


async def follow(tls: ServerTls) -> None:
    """Serve with the certificate that is in the files, also when it is replaced, until cancelled.

    One that cannot be used is logged once, and the last one stays in force.
    """
    outage = Outage()
    while True:
        await asyncio.sleep(FILES_SECONDS)
        try:
            tls.refresh()
            outage.ends()
        except CommandError as error:
            if outage.begins():
                log.error("certificate refresh failed", extra={"error": str(error)})
