"""A number as the Cloud API has it: its ids, its token, the app that it belongs to.

Number 1 is the one that the environment describes; what holds for all numbers of an installation is
in ``cloud_settings``.
"""

from __future__ import annotations

import math

import msgspec

from warouter.cloud_variables import CloudVariables
from warouter.errors import ConfigError
from warouter.variables import SecretSource

FIRST = 1  # the number, the app and the portfolio of the environment; a request may name no other


class CloudApp(msgspec.Struct, frozen=True, kw_only=True):
    """An app of Meta's, which signs the webhooks of its numbers."""

    id: int = FIRST
    secrets: SecretSource  # one a line
    verify_token: SecretSource
    version: str = "v25.0"  # of the Graph API


class NumberCloud(msgspec.Struct, frozen=True, kw_only=True):
    """One number; every call of the Graph API is for one.

    ``portfolio`` is the business portfolio (Meta's) within which ids of users are unique.
    """

    id: int = FIRST
    name: str = "default"
    phone_number_id: str
    waba_id: str
    app: CloudApp
    token: SecretSource
    portfolio: int = FIRST
    messaging_account_id: str = ""
    in_doubt: str = "resend"  # resend, fail or hold
    rate: float | None = None  # messages a second; None: as the number's level says

    @property
    def logged(self) -> dict[str, object]:
        """Fields of a log line about the number; number 1 goes without."""
        return {} if self.id == FIRST else {"number": self.name}


def checked(given: CloudVariables) -> NumberCloud:
    """Number 1, from these variables; raises ConfigError with the variable and what to do.

    What holds for the installation, too, is checked with its settings.
    """
    return NumberCloud(
        phone_number_id=_id(given.cloud_phone_number_id, "WAROUTER_CLOUD_PHONE_NUMBER_ID"),
        waba_id=_id(given.cloud_waba_id, "WAROUTER_CLOUD_WABA_ID"),
        token=_source(given.cloud_token, given.cloud_token_file, "WAROUTER_CLOUD_TOKEN"),
        app=CloudApp(
            secrets=_source(
                given.cloud_app_secret, given.cloud_app_secret_file, "WAROUTER_CLOUD_APP_SECRET"
            ),
            verify_token=_source(
                given.cloud_verify_token,
                given.cloud_verify_token_file,
                "WAROUTER_CLOUD_VERIFY_TOKEN",
            ),
            version=given.cloud_version,
        ),
        messaging_account_id=_id(
            given.cloud_messaging_account_id, "WAROUTER_CLOUD_MESSAGING_ACCOUNT_ID", required=False
        ),
        in_doubt=given.cloud_in_doubt,
        rate=_rate(given.cloud_rate),
    )


def _id(text: str, name: str, *, required: bool = True) -> str:
    if not text and not required:
        return ""
    if not text:
        raise ConfigError(f"{name} is missing; WAROUTER_UPSTREAM=cloud needs it.")
    if not (text.isascii() and text.isdigit() and len(text) <= 32):
        raise ConfigError(f"{name} is {text!r}; it must be Meta's id, which has digits only.")
    return text


def _source(value: str, path: str, name: str) -> SecretSource:
    if not value and not path:
        raise ConfigError(f"{name} is missing; WAROUTER_UPSTREAM=cloud needs it or {name}_FILE.")
    return SecretSource(value, path)


def _rate(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < math.inf:
        raise ConfigError(
            f"WAROUTER_CLOUD_RATE is {text!r}; it must be auto or a number of messages a second"
            " above 0."
        )
    return rate
