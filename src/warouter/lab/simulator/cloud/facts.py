"""The configuration of the emulator: its account, its number, its secrets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from warouter.recipient import wa_id

_PREFIX = "WAROUTER_CLOUD_"
_VARIABLES = (
    "phone_number_id",
    "waba_id",
    "app_id",
    "token",
    "token_file",
    "app_secret",
    "app_secret_file",
    "verify_token",
    "verify_token_file",
)


class CloudFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The number's ids, and the secrets as they were given: in text, or as a file's path.

    With several lines the first app secret signs, and every token is taken. Without a token every
    bearer is taken.
    """

    phone_number_id: str = "106540352242922"
    waba_id: str = "102290129340398"
    app_id: str = "670843887433847"
    number: str = "15557770000"
    name: str = "warouter test"
    token: str = ""
    token_file: Path | None = None
    app_secret: str = "app-secret-1"
    app_secret_file: Path | None = None
    verify_token: str = "verify-1"
    verify_token_file: Path | None = None

    def tokens(self) -> list[str]:
        """The tokens that are taken; read anew each time, as they may be renewed."""
        return _lines(self.token, self.token_file)

    def secret(self) -> str:
        """The app secret that signs."""
        return next(iter(self.secrets()), "")

    def secrets(self) -> list[str]:
        """All secrets of the app: several while it changes from one to the next."""
        return _lines(self.app_secret, self.app_secret_file)

    def verification(self) -> str:
        """The verify token of the handshake."""
        return next(iter(_lines(self.verify_token, self.verify_token_file)), "")


def from_environment(environment: Mapping[str, str], number: str = "") -> CloudFacts:
    """The facts by the variables ``WAROUTER_CLOUD_*``, with the business's ``number`` (digits) if
    it is given; ValueError if one is malformed.
    """
    given: dict[str, str | Path] = {"number": wa_id(number)} if number else {}
    for name in _VARIABLES:
        if text := environment.get(_PREFIX + name.upper(), ""):
            given[name] = Path(text) if name.endswith("_file") else text
    for name in ("phone_number_id", "waba_id", "app_id"):
        text = str(given.get(name, "0"))
        if not (text.isascii() and text.isdigit()):
            raise ValueError(f"{_PREFIX}{name.upper()} must be digits, not {text!r}")
    facts = CloudFacts(**given)  # type: ignore[arg-type]
    if facts.app_secret_file is not None and not facts.secret():
        raise ValueError(f"{facts.app_secret_file} holds no app secret")
    return facts


def _lines(text: str, file: Path | None) -> list[str]:
    if file is not None:
        try:
            text = file.read_text()
        except OSError:
            return []
    return [line.strip() for line in text.splitlines() if line.strip()]
