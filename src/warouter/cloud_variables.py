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

    cloud_phone_number_id: str = CLOUD.variable("WAROUTER_CLOUD_PHONE_NUMBER_ID", "")
    cloud_waba_id: str = CLOUD.variable("WAROUTER_CLOUD_WABA_ID", "")
    cloud_token: str
    cloud_token_file: str
    cloud_token, cloud_token_file = CLOUD.secret("WAROUTER_CLOUD_TOKEN")
    cloud_app_secret: str
    cloud_app_secret_file: str
    cloud_app_secret, cloud_app_secret_file = CLOUD.secret("WAROUTER_CLOUD_APP_SECRET")
    cloud_verify_token: str
    cloud_verify_token_file: str
    cloud_verify_token, cloud_verify_token_file = CLOUD.secret("WAROUTER_CLOUD_VERIFY_TOKEN")
    cloud_messaging_account_id: str = CLOUD.variable("WAROUTER_CLOUD_MESSAGING_ACCOUNT_ID", "")
    cloud_marketing: str = CLOUD.variable("WAROUTER_CLOUD_MARKETING", "messages")
    cloud_version: str = CLOUD.variable("WAROUTER_CLOUD_VERSION", "v25.0")
    cloud_base_url: str = CLOUD.variable("WAROUTER_CLOUD_BASE_URL", "https://graph.facebook.com")
    cloud_listen: str = CLOUD.variable("WAROUTER_CLOUD_LISTEN", "127.0.0.1:9095")
    cloud_tls_cert: str = CLOUD.variable("WAROUTER_CLOUD_TLS_CERT", "")
    cloud_tls_key: str = CLOUD.private_key("WAROUTER_CLOUD_TLS_KEY")
    cloud_mtls_ca: str = CLOUD.variable("WAROUTER_CLOUD_MTLS_CA", "")
    cloud_mtls_name: str = CLOUD.variable("WAROUTER_CLOUD_MTLS_NAME", "")
    cloud_in_doubt: str = CLOUD.variable("WAROUTER_CLOUD_IN_DOUBT", "resend")
    cloud_doubt_seconds: Annotated[float, Meta(ge=0.1, le=86_400)] = CLOUD.variable(
        "WAROUTER_CLOUD_DOUBT_SECONDS", 60.0
    )
    cloud_rate: str = CLOUD.variable("WAROUTER_CLOUD_RATE", "auto")
    cloud_connections: Annotated[int, Meta(ge=1, le=4096)] = CLOUD.variable(
        "WAROUTER_CLOUD_CONNECTIONS", 512
    )
    cloud_order: str = CLOUD.variable("WAROUTER_CLOUD_ORDER", "accepted")
    cloud_bsuid: str = CLOUD.variable("WAROUTER_CLOUD_BSUID", "alias")
    cloud_standby: str = CLOUD.variable("WAROUTER_CLOUD_STANDBY", "off")
    cloud_echoes: str = CLOUD.variable("WAROUTER_CLOUD_ECHOES", "off")
    cloud_late_success: bool = CLOUD.variable("WAROUTER_CLOUD_LATE_SUCCESS", False)
