"""The environment variables, by what one looks for: name, type and default.

They are described here and nowhere else: ``static/variables.toml`` has a sentence on each,
``config.Settings`` adds what is computed from them, and `make docs` writes the tables of
docs/configuration.md from the groups here. Those of the Cloud API are in ``cloud_variables``.
"""

from __future__ import annotations

import functools
from typing import Annotated, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from warouter import STATIC

T = TypeVar("T")


class VariableWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``meaning`` is one sentence of Markdown; ``unit`` is empty for what has none."""

    meaning: str
    unit: str = ""


class Variable(NamedTuple):
    """An environment variable, with what ``static/variables.toml`` says of it."""

    name: str

    @property
    def meaning(self) -> str:
        return described()[self.name].meaning

    @property
    def unit(self) -> str:
        return described()[self.name].unit


@functools.cache
def described() -> dict[str, VariableWords]:
    """The words on each variable, by its name."""
    import tomllib  # which only texts need

    text = (STATIC / "variables.toml").read_text()
    return msgspec.convert(tomllib.loads(text), dict[str, VariableWords])


class SecretSource(msgspec.Struct, frozen=True):
    """Where a secret is: in ``value``, or in the file ``path``; nowhere if both are empty."""

    value: str = ""
    path: str = ""

    def __repr__(self) -> str:
        return "SecretSource(...)"


class Group:
    """Variables that one looks for together; ``readers`` says which processes read them.

    ``secrets`` names those of them that hold one, ``private_keys`` those that name a key's file.
    """

    def __init__(self, title: str, readers: str = "") -> None:
        self.title = title
        self.readers = readers
        self.variables: list[Variable] = []
        self.secrets: list[str] = []
        self.private_keys: list[str] = []

    def variable(self, name: str, default: T) -> T:
        """A field of ``Variables`` that this environment variable sets."""
        self.variables.append(Variable(name))
        return msgspec.field(name=name, default=default)

    def secret(self, name: str) -> tuple[str, str]:
        """The fields of a secret and of ``name``_FILE, the file that may hold it instead."""
        self.secrets.append(name)
        return self.variable(name, ""), self.variable(f"{name}_FILE", "")

    def private_key(self, name: str) -> str:
        """A field with the path of a private key."""
        self.private_keys.append(name)
        return self.variable(name, "")


DATABASE = Group("Database", "all processes and the operator's commands")
ADDRESSES = Group("Names, addresses and ports")
TLS = Group("TLS of the API", "webapps")
UPSTREAM = Group("Upstream")
CLOUD = Group("Cloud API", "with `WAROUTER_UPSTREAM=cloud` the same on all processes")
API = Group("API", "webapps")
LIMITS = Group("Limits of the API", "webapps")
WEBHOOK = Group("Webhook", "coreapps, and webapps that check its URL")
MEDIA = Group("Media storage")
TIMING = Group("Timing", "the same on all processes")
RETENTION = Group("Retention", "coreapps")
CONSOLE = Group("Console", "the console")
DIAGNOSTICS = Group("Logs")

GROUPS = (
    DATABASE,
    ADDRESSES,
    TLS,
    UPSTREAM,
    CLOUD,
    API,
    LIMITS,
    WEBHOOK,
    MEDIA,
    TIMING,
    RETENTION,
    CONSOLE,
    DIAGNOSTICS,
)

# Set by whoever starts a process, and no settings of an operator.
SUPERVISED = (Variable("NOTIFY_SOCKET"), Variable("WAROUTER_STOP_ON_EOF"))


class Variables(msgspec.Struct, frozen=True, kw_only=True):
    """The variables that a process reads from its environment."""

    db_engine: str = DATABASE.variable("WA_DB_ENGINE", "PGSQL")
    db_hostname: str = DATABASE.variable("WA_DB_HOSTNAME", "")
    db_port: str = DATABASE.variable("WA_DB_PORT", "5432")
    db_username: str = DATABASE.variable("WA_DB_USERNAME", "postgres")
    db_password: str
    db_password_file: str
    db_password, db_password_file = DATABASE.secret("WA_DB_PASSWORD")
    db_password_file_too: str = DATABASE.variable("WAROUTER_DB_PASSWORD_FILE", "")
    db_name_prefix: str = DATABASE.variable("WA_DB_NAME_PREFIX", "")
    db_name: str = DATABASE.variable("WAROUTER_DB_NAME", "")
    db_schema: str = DATABASE.variable("WAROUTER_DB_SCHEMA", "warouter")
    db_ssl_ca: str = DATABASE.variable("WA_DB_SSL_CA", "")
    db_ssl: str = DATABASE.variable("WAROUTER_DB_SSL", "verify")
    db_ssl_cert: str = DATABASE.variable("WA_DB_SSL_CERT", "")
    db_ssl_key: str = DATABASE.private_key("WA_DB_SSL_KEY")

    node: str = ADDRESSES.variable("WAROUTER_NODE", "")
    coreapp_hostname: str = ADDRESSES.variable("COREAPP_HOSTNAME", "127.0.0.1")
    coreapp_ports: str = ADDRESSES.variable("COREAPP_EXTERNAL_PORTS", "6250")
    coreapp_container: str = ADDRESSES.variable("COREAPP_CONTAINER_NAME", "")
    webapp_hostname: str = ADDRESSES.variable("WEBAPP_HOSTNAME", "127.0.0.1")
    webapp_ports: str = ADDRESSES.variable("WEBAPP_EXTERNAL_PORTS", "9090")
    webapp_container: str = ADDRESSES.variable("WEBAPP_CONTAINER_NAME", "")
    public_port: Annotated[int, Meta(ge=0, le=65535)] = ADDRESSES.variable(
        "WAROUTER_PUBLIC_PORT", 0
    )

    tls_cert: str = TLS.variable("WAROUTER_TLS_CERT", "")
    tls_key: str = TLS.private_key("WAROUTER_TLS_KEY")
    no_tls: bool = TLS.variable("WAROUTER_NO_TLS", False)

    upstream: str = UPSTREAM.variable("WAROUTER_UPSTREAM", "simulator")
    upstream_address: str = UPSTREAM.variable("WAROUTER_UPSTREAM_ADDRESS", "127.0.0.1:6260")
    upstream_services: str = UPSTREAM.variable("WAROUTER_UPSTREAM_SERVICES", "127.0.0.1:6262")

    multiconnect: bool = API.variable("WA_APP_MULTICONNECT", False)
    api_key: str
    api_key_file: str
    api_key, api_key_file = API.secret("WA_API_KEY")
    shards_cert: str = API.variable("WAROUTER_SHARDS_CERT", "after-7-days")
    require_contact_check: bool = API.variable("WAROUTER_REQUIRE_CONTACT_CHECK", False)
    fast_path: bool = API.variable("WAROUTER_FAST_PATH", True)
    server_version: bool = API.variable("WAROUTER_SERVER_VERSION", True)
    d360: bool = API.variable("WAROUTER_D360", False)
    hold: Annotated[float, Meta(ge=0)] = API.variable("WAROUTER_HOLD", 10.0)

    # A message goes to the upstream in one frame of at most 1 MiB.
    json_limit: Annotated[int, Meta(ge=1024, le=512 * 1024)] = LIMITS.variable(
        "WAROUTER_JSON_LIMIT", 64 * 1024
    )
    rate_limit: str = LIMITS.variable("WAROUTER_RATE_LIMIT", "off")
    connections: int = LIMITS.variable("WAROUTER_CONNECTIONS", 2_000)
    connections_per_address: int = LIMITS.variable("WAROUTER_CONNECTIONS_PER_ADDRESS", 100)
    trusted_proxies: str = LIMITS.variable("WAROUTER_TRUSTED_PROXIES", "")

    webhook_allow_http: bool = WEBHOOK.variable("WAROUTER_WEBHOOK_ALLOW_HTTP", False)
    webhook_ports: str = WEBHOOK.variable("WAROUTER_WEBHOOK_PORTS", "443,8443")
    allow_private: str = WEBHOOK.variable("WAROUTER_ALLOW_PRIVATE", "")
    webhook_client_cert: str = WEBHOOK.variable("WAROUTER_WEBHOOK_CLIENT_CERT", "")
    webhook_client_key: str = WEBHOOK.private_key("WAROUTER_WEBHOOK_CLIENT_KEY")

    media_dir: str = MEDIA.variable("WAROUTER_MEDIA_DIR", "/usr/local/wamedia")
    media_url: str = MEDIA.variable("WAROUTER_MEDIA_URL", "")
    media_s3_endpoint: str = MEDIA.variable("WAROUTER_MEDIA_S3_ENDPOINT", "")
    media_s3_region: str = MEDIA.variable("WAROUTER_MEDIA_S3_REGION", "")
    media_s3_ca: str = MEDIA.variable("WAROUTER_MEDIA_S3_CA", "")
    media_s3_access_key: str = MEDIA.variable("WAROUTER_MEDIA_S3_KEY_ID", "")
    media_s3_secret_key: str
    media_s3_secret_key_file: str
    media_s3_secret_key, media_s3_secret_key_file = MEDIA.secret("WAROUTER_MEDIA_S3_SECRET_KEY")
    media_spool: str = MEDIA.variable("WAROUTER_MEDIA_SPOOL", "/var/tmp")
    media_quota: Annotated[int, Meta(ge=0)] = MEDIA.variable("WAROUTER_MEDIA_QUOTA", 50 << 30)
    media_allow_http: bool = MEDIA.variable("WAROUTER_MEDIA_ALLOW_HTTP", False)
    media_allow_private: str = MEDIA.variable("WAROUTER_MEDIA_ALLOW_PRIVATE", "")
    public_url: str = MEDIA.variable("WAROUTER_PUBLIC_URL", "")

    beat: float = TIMING.variable("WAROUTER_BEAT", 0.4)
    lease: float = TIMING.variable("WAROUTER_LEASE", 1.5)
    margin: float = TIMING.variable("WAROUTER_MARGIN", 0.2)

    retention_days: Annotated[float, Meta(ge=0)] = RETENTION.variable("WAROUTER_RETENTION", 30.0)
    pending_seconds: Annotated[float, Meta(ge=1)] = RETENTION.variable("WAROUTER_PENDING", 86_400.0)
    letters_days: Annotated[float, Meta(ge=0)] = RETENTION.variable(
        "WAROUTER_LETTERS_RETENTION", 365.0
    )
    audit_days: Annotated[int, Meta(ge=1, le=36_500)] = RETENTION.variable(
        "WAROUTER_AUDIT_RETENTION", 365
    )

    console_listen: str = CONSOLE.variable("WAROUTER_CONSOLE_LISTEN", "127.0.0.1:9080")
    console_hosts: str = CONSOLE.variable("WAROUTER_CONSOLE_HOSTS", "")
    console_api: str = CONSOLE.variable("WAROUTER_CONSOLE_API", "https://localhost:9090")
    console_api_ca: str = CONSOLE.variable("WAROUTER_CONSOLE_API_CA", "")
    console_bodies: bool = CONSOLE.variable("WAROUTER_CONSOLE_BODIES", False)
    console_user_header: str = CONSOLE.variable("WAROUTER_CONSOLE_USER_HEADER", "")
    console_simulator: str = CONSOLE.variable("WAROUTER_CONSOLE_SIMULATOR", "")

    log_level: str = DIAGNOSTICS.variable("WAROUTER_LOG_LEVEL", "INFO")
