"""The environment variables of the Cloud API (``WAROUTER_UPSTREAM=cloud``).

``cloud_settings`` checks them as a whole. Each secret is a variable or a file: a file can be
renewed without a restart.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from warouter.variables import CLOUD, Variables


class CloudVariables(Variables, frozen=True, kw_only=True):
    """All variables that a process reads from its environment, those of the Cloud API included."""

    cloud_phone_number_id: str = CLOUD.variable(
        "WAROUTER_CLOUD_PHONE_NUMBER_ID",
        "",
        "Required: Meta's id of the number, which is not the number itself.",
    )
    cloud_waba_id: str = CLOUD.variable(
        "WAROUTER_CLOUD_WABA_ID", "", "Required: the id of the WhatsApp Business Account."
    )
    cloud_token: str
    cloud_token_file: str
    cloud_token, cloud_token_file = CLOUD.secret(
        "WAROUTER_CLOUD_TOKEN",
        "The access token of a system user.",
        "A file with it, for coreapps, webapps and masters; a new token takes effect within 5 s.",
    )
    cloud_app_secret: str
    cloud_app_secret_file: str
    cloud_app_secret, cloud_app_secret_file = CLOUD.secret(
        "WAROUTER_CLOUD_APP_SECRET",
        "The app's secret, which signs webhooks.",
        "A file with it, of several lines while it is rotated: each of them is accepted.",
    )
    cloud_verify_token: str
    cloud_verify_token_file: str
    cloud_verify_token, cloud_verify_token_file = CLOUD.secret(
        "WAROUTER_CLOUD_VERIFY_TOKEN",
        "What Meta has to show when it checks the webhook's URL.",
        "A file with it.",
    )
    cloud_messaging_account_id: str = CLOUD.variable(
        "WAROUTER_CLOUD_MESSAGING_ACCOUNT_ID",
        "",
        "The id of the messaging account, where Meta asks for it (several of them use the number).",
    )
    cloud_marketing: str = CLOUD.variable(
        "WAROUTER_CLOUD_MARKETING",
        "messages",
        "Where marketing templates are sent: to `messages` as all others, or with `auto` to"
        " `marketing_messages` if the account is onboarded there.",
    )
    cloud_version: str = CLOUD.variable(
        "WAROUTER_CLOUD_VERSION",
        "v25.0",
        "The version of the Graph API; a warning comes 90 days before its known end.",
    )
    cloud_base_url: str = CLOUD.variable(
        "WAROUTER_CLOUD_BASE_URL",
        "https://graph.facebook.com",
        "Where the Graph API is; plain http is for loopback only.",
    )
    cloud_listen: str = CLOUD.variable(
        "WAROUTER_CLOUD_LISTEN",
        "127.0.0.1:9095",
        "host:port at which a webapp hears Meta's webhooks, at `/cloud/webhook`; `warouter up`"
        " gives each webapp a port of its own.",
    )
    cloud_tls_cert: str = CLOUD.variable(
        "WAROUTER_CLOUD_TLS_CERT",
        "",
        "PEM file of that listener's certificate; without it the listener speaks plain http, on"
        " loopback or behind a proxy that terminates TLS.",
    )
    cloud_tls_key: str = CLOUD.private_key("WAROUTER_CLOUD_TLS_KEY")
    cloud_mtls_ca: str = CLOUD.variable(
        "WAROUTER_CLOUD_MTLS_CA",
        "",
        "PEM file of the authority whose client certificate the listener demands of Meta; needs"
        " `WAROUTER_CLOUD_TLS_CERT`.",
    )
    cloud_mtls_name: str = CLOUD.variable(
        "WAROUTER_CLOUD_MTLS_NAME",
        "",
        "The name that this client certificate must have; needs `WAROUTER_CLOUD_MTLS_CA`.",
    )
    cloud_in_doubt: str = CLOUD.variable(
        "WAROUTER_CLOUD_IN_DOUBT",
        "resend",
        "What becomes of a message of which nobody knows whether Meta took it, once its window has"
        " ended: `resend`, `fail` or `hold`.",
    )
    cloud_doubt_seconds: Annotated[float, Meta(ge=0.1, le=86_400)] = CLOUD.variable(
        "WAROUTER_CLOUD_DOUBT_SECONDS",
        60.0,
        "That window for a text; those of other kinds of messages scale with it.",
        "seconds",
    )
    cloud_rate: str = CLOUD.variable(
        "WAROUTER_CLOUD_RATE",
        "auto",
        "The most that the number sends: `auto` asks Meta for its level.",
        "messages/s",
    )
    cloud_order: str = CLOUD.variable(
        "WAROUTER_CLOUD_ORDER",
        "accepted",
        "When the next message of a recipient may leave: once Meta `accepted` the one before, or"
        " once it was `sent`, for at most 5 s.",
    )
    cloud_bsuid: str = CLOUD.variable(
        "WAROUTER_CLOUD_BSUID",
        "alias",
        "How a user without a number is shown: by an `alias` of digits, by the `raw` user id, or"
        " not at all (`drop`).",
    )
    cloud_standby: str = CLOUD.variable(
        "WAROUTER_CLOUD_STANDBY",
        "off",
        "What becomes of customers' messages while Meta's agent answers them: kept without a"
        " callback (`off`), called back with `standby: true` (`mark`), or as any other (`pass`).",
    )
    cloud_echoes: str = CLOUD.variable(
        "WAROUTER_CLOUD_ECHOES",
        "off",
        "The same for what that agent, or the business in its own app, says to customers; `mark`"
        " adds `echo: true`.",
    )
    cloud_late_success: bool = CLOUD.variable(
        "WAROUTER_CLOUD_LATE_SUCCESS",
        False,
        "`1` shows a `delivered` or `read` that comes after `failed` was shown.",
    )
