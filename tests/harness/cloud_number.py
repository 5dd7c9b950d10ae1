"""Numbers as the Cloud API has them, of no process."""

from __future__ import annotations

from typing import Any

from warouter.cloud_number import CloudApp, NumberCloud
from warouter.variables import SecretSource


def some_number(
    app_secret: SecretSource | None = None, verify_token: SecretSource | None = None, **given: Any
) -> NumberCloud:
    """A number with these fields."""
    fields = {"phone_number_id": "1", "waba_id": "2", "token": SecretSource("t")}
    app = CloudApp(
        secrets=app_secret or SecretSource("a"), verify_token=verify_token or SecretSource("v")
    )
    return NumberCloud(**{**fields, "app": app, **given})
