"""The environment variables, by what one looks for: name, type, default, unit and one sentence.

They are described here and nowhere else: ``config.Settings`` adds what is computed from them, and
`make docs` writes the tables of docs/configuration.md from the groups here. Those of the Cloud API
are in ``cloud_variables``.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

T = TypeVar("T")


class Variable(NamedTuple):
    """``meaning`` is one sentence of Markdown; ``unit`` is empty for what has none."""

    name: str
    meaning: str
    unit: str = ""


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

    def variable(self, name: str, default: T, meaning: str, unit: str = "") -> T:
        """A field of ``Variables`` that this environment variable sets."""
        self.variables.append(Variable(name, meaning, unit))
        return msgspec.field(name=name, default=default)

    def secret(self, name: str, meaning: str, in_file: str) -> tuple[str, str]:
        """The fields of a secret and of ``name``_FILE, the file that may hold it instead."""
        self.secrets.append(name)
        given = self.variable(name, "", f"{meaning.removesuffix('.')}; or `{name}_FILE`.")
        return given, self.variable(f"{name}_FILE", "", in_file)

    def private_key(self, name: str, meaning: str = "PEM file of its key.") -> str:
        """A field with the path of a private key."""
        self.private_keys.append(name)
        return self.variable(name, "", meaning)


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
SUPERVISED = (
    Variable("NOTIFY_SOCKET", "The service manager's socket, see sd_notify(3)."),
    Variable(
        "WAROUTER_STOP_ON_EOF",
        "`1` ends the process at the end of its standard input; `warouter up` sets it, so that its"
        " processes stop when it is killed.",
    ),
)


class Variables(msgspec.Struct, frozen=True, kw_only=True):
    """The variables that a process reads from its environment."""

    db_engine: str = DATABASE.variable("WA_DB_ENGINE", "PGSQL", "Anything but `PGSQL` is refused.")
    db_hostname: str = DATABASE.variable(
        "WA_DB_HOSTNAME",
        "",
        "Required: a host, or a socket directory that starts with `/`; of several, separated by"
        " commas, the first that takes writes is used.",
    )
    db_port: str = DATABASE.variable(
        "WA_DB_PORT", "5432", "One port for all hosts, or one for each, separated by commas."
    )
    db_username: str = DATABASE.variable(
        "WA_DB_USERNAME", "postgres", "The role, which must be the same for all processes."
    )
    db_password: str
    db_password_file: str
    db_password, db_password_file = DATABASE.secret(
        "WA_DB_PASSWORD",
        "The role's password.",
        "A file with it, read at each connect (see [Secrets](#secrets)); of several lines while it"
        " is rotated: each of them is tried.",
    )
    db_password_file_too: str = DATABASE.variable(
        "WAROUTER_DB_PASSWORD_FILE", "", "Another name of `WA_DB_PASSWORD_FILE`."
    )
    db_name_prefix: str = DATABASE.variable(
        "WA_DB_NAME_PREFIX", "", "The database is called PREFIX + `warouter`."
    )
    db_name: str = DATABASE.variable(
        "WAROUTER_DB_NAME", "", "The whole name of the database, instead of a prefix."
    )
    db_schema: str = DATABASE.variable(
        "WAROUTER_DB_SCHEMA",
        "warouter",
        "The schema in the database, which takes one cluster: another needs a database of its own.",
    )
    db_ssl_ca: str = DATABASE.variable(
        "WA_DB_SSL_CA",
        "",
        "PEM file of the authorities that vouch for the server's certificate; empty for those of"
        " the system; with it TLS is required on loopback as well.",
    )
    db_ssl: str = DATABASE.variable(
        "WAROUTER_DB_SSL",
        "verify",
        "`verify` requires TLS to hosts beyond loopback, with a certificate for the name in"
        " `WA_DB_HOSTNAME`; `off` accepts any server, with TLS or without (see"
        " [TLS to PostgreSQL](postgresql.md#tls-to-postgresql)).",
    )
    db_ssl_cert: str = DATABASE.variable(
        "WA_DB_SSL_CERT",
        "",
        "PEM file of a client certificate; a renewed one is used from the next connection on.",
    )
    db_ssl_key: str = DATABASE.private_key("WA_DB_SSL_KEY")

    node: str = ADDRESSES.variable(
        "WAROUTER_NODE",
        "",
        "The node's name in health, status and logs; the default is `HOST:CONTAINER`, and without a"
        " container name `HOST:coreapp-PORT`, `HOST:webapp-PORT` or `HOST:master-PID`.",
    )
    coreapp_hostname: str = ADDRESSES.variable(
        "COREAPP_HOSTNAME",
        "127.0.0.1",
        "The address or name of this host at which coreapps listen for links *and* webapps reach"
        " them, so never `0.0.0.0`, or `auto`, the host's IPv4 address on the route to the database"
        " (see [Notes](#notes)); links run in mutual TLS unless it is loopback.",
    )
    coreapp_ports: str = ADDRESSES.variable(
        "COREAPP_EXTERNAL_PORTS",
        "6250",
        "Ports separated by commas, of which the first is the link; `0` takes a free one.",
    )
    coreapp_container: str = ADDRESSES.variable(
        "COREAPP_CONTAINER_NAME", "", "What follows the host in the name of a coreapp."
    )
    webapp_hostname: str = ADDRESSES.variable(
        "WEBAPP_HOSTNAME",
        "127.0.0.1",
        "The address that webapps listen on; `0.0.0.0` for every address of the host, `auto` as for"
        " `COREAPP_HOSTNAME`.",
    )
    webapp_ports: str = ADDRESSES.variable(
        "WEBAPP_EXTERNAL_PORTS",
        "9090",
        "Ports separated by commas, of which the first is the API.",
    )
    webapp_container: str = ADDRESSES.variable(
        "WEBAPP_CONTAINER_NAME", "", "What follows the host in the name of a webapp."
    )
    public_port: Annotated[int, Meta(ge=0, le=65535)] = ADDRESSES.variable(
        "WAROUTER_PUBLIC_PORT",
        0,
        "A second port of the API that all webapps of a host share (SO_REUSEPORT); `0` for none.",
    )

    tls_cert: str = TLS.variable(
        "WAROUTER_TLS_CERT",
        "",
        "PEM file of the API's certificate; required unless `WAROUTER_NO_TLS` is set or a"
        " certificate was set by `POST /v1/certificates/external`, which takes precedence; a"
        " renewed file is served within 5 s.",
    )
    tls_key: str = TLS.private_key("WAROUTER_TLS_KEY")
    no_tls: bool = TLS.variable(
        "WAROUTER_NO_TLS", False, "`1` serves plain HTTP, behind a proxy that terminates TLS."
    )

    upstream: str = UPSTREAM.variable(
        "WAROUTER_UPSTREAM",
        "simulator",
        "The WhatsApp side: `simulator`, or `cloud` for Meta's Cloud API.",
    )
    upstream_address: str = UPSTREAM.variable(
        "WAROUTER_UPSTREAM_ADDRESS",
        "127.0.0.1:6260",
        "host:port of the simulator, for coreapps.",
    )
    upstream_services: str = UPSTREAM.variable(
        "WAROUTER_UPSTREAM_SERVICES",
        "127.0.0.1:6262",
        "host:port of its media, contacts and registration, for coreapps and webapps.",
    )

    multiconnect: bool = API.variable(
        "WA_APP_MULTICONNECT", False, "`1` makes `/v1/health` a map of all nodes."
    )
    api_key: str
    api_key_file: str
    api_key, api_key_file = API.secret(
        "WA_API_KEY",
        "12 to 128 characters that open `/v1/health`, `/metrics` and `/v1/stats` as"
        " `Authorization: Apikey`; an address that shows five wrong ones within a minute has to"
        " wait.",
        "A file with it, of several lines while it is rotated: each of them is accepted.",
    )
    shards_cert: str = API.variable(
        "WAROUTER_SHARDS_CERT",
        "after-7-days",
        "When `POST /v1/account/shards` requires `cert`: `after-7-days` from the registration, or"
        " `never`.",
    )
    require_contact_check: bool = API.variable(
        "WAROUTER_REQUIRE_CONTACT_CHECK",
        False,
        "`1` refuses messages to numbers that `POST /v1/contacts` has not found on WhatsApp, as the"
        " API did before v2.43.",
    )
    fast_path: bool = API.variable(
        "WAROUTER_FAST_PATH",
        True,
        "`0` sends every request through aiohttp; the answers are the same (see"
        " [architecture.md](architecture.md)).",
    )
    server_version: bool = API.variable(
        "WAROUTER_SERVER_VERSION", True, "`0` leaves the version out of the header `Server`."
    )
    hold: Annotated[float, Meta(ge=0)] = API.variable(
        "WAROUTER_HOLD",
        10.0,
        "How long a request is kept while its shard has no owner, before it is answered 503.",
        "seconds",
    )

    # A message goes to the upstream in one frame of at most 1 MiB.
    json_limit: Annotated[int, Meta(ge=1024, le=512 * 1024)] = LIMITS.variable(
        "WAROUTER_JSON_LIMIT", 64 * 1024, "The largest body, except for contacts.", "bytes"
    )
    rate_limit: str = LIMITS.variable(
        "WAROUTER_RATE_LIMIT",
        "off",
        "For each user and webapp: `off`, `product` (50 `POST /v1/messages` a second in bursts of"
        " 150, and 20 other requests in bursts of 60) or `RATE/BURST,RATE/BURST`; what exceeds it"
        " is 429.",
    )
    connections: int = LIMITS.variable(
        "WAROUTER_CONNECTIONS",
        2_000,
        "The most client connections of a webapp, or of a console, TLS handshakes included; one"
        " more is answered 503, or closed where TLS is expected.",
    )
    connections_per_address: int = LIMITS.variable(
        "WAROUTER_CONNECTIONS_PER_ADDRESS",
        100,
        "The most from one address, except for this host and `WAROUTER_TRUSTED_PROXIES`.",
    )
    trusted_proxies: str = LIMITS.variable(
        "WAROUTER_TRUSTED_PROXIES",
        "",
        "Networks of load balancers, separated by commas (`10.0.0.4/32`), whose `X-Forwarded-For`"
        " is believed; without it all clients behind one count as one address.",
    )

    webhook_allow_http: bool = WEBHOOK.variable(
        "WAROUTER_WEBHOOK_ALLOW_HTTP", False, "`1` allows webhook URLs with plain http."
    )
    webhook_ports: str = WEBHOOK.variable(
        "WAROUTER_WEBHOOK_PORTS",
        "443,8443",
        "Ports that webhooks at public addresses may have, and 80 if plain http is allowed.",
    )
    allow_private: str = WEBHOOK.variable(
        "WAROUTER_ALLOW_PRIVATE",
        "",
        "Networks besides public addresses, separated by commas (`10.1.2.0/24,::1/128`), that the"
        " webhook, which an administrator sets, may be in, at any port.",
    )
    webhook_client_cert: str = WEBHOOK.variable(
        "WAROUTER_WEBHOOK_CLIENT_CERT",
        "",
        "PEM file of the certificate for webhooks that ask for one; a renewed one is shown from the"
        " next callback on.",
    )
    webhook_client_key: str = WEBHOOK.private_key("WAROUTER_WEBHOOK_CLIENT_KEY")

    media_dir: str = MEDIA.variable(
        "WAROUTER_MEDIA_DIR",
        "/usr/local/wamedia",
        "The directory of media, shared by all webapps and coreapps (see [Media](#media)).",
    )
    media_url: str = MEDIA.variable(
        "WAROUTER_MEDIA_URL",
        "",
        "`s3://BUCKET/PREFIX` keeps media in a bucket instead, for all webapps and coreapps; it"
        " needs the extra `s3` (see [Media in S3](#media-in-s3)).",
    )
    media_s3_endpoint: str = MEDIA.variable(
        "WAROUTER_MEDIA_S3_ENDPOINT",
        "",
        "The URL of a server other than AWS that speaks S3, asked in path style; otherwise that of"
        " `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`, or AWS.",
    )
    media_s3_region: str = MEDIA.variable(
        "WAROUTER_MEDIA_S3_REGION",
        "",
        "The region of the bucket; otherwise that of `AWS_REGION` or `AWS_DEFAULT_REGION`, or"
        " `us-east-1`.",
    )
    media_s3_ca: str = MEDIA.variable(
        "WAROUTER_MEDIA_S3_CA",
        "",
        "PEM file of authorities, besides those of the system, that vouch for the server's"
        " certificate.",
    )
    media_s3_access_key: str = MEDIA.variable(
        "WAROUTER_MEDIA_S3_KEY_ID",
        "",
        "The id of a key; without it credentials are looked for the way of AWS"
        " (`AWS_ACCESS_KEY_ID`, a container's or an instance's role).",
    )
    media_s3_secret_key: str
    media_s3_secret_key_file: str
    media_s3_secret_key, media_s3_secret_key_file = MEDIA.secret(
        "WAROUTER_MEDIA_S3_SECRET_KEY",
        "The secret of this key.",
        "A file with it, which is read again within a minute once it has changed.",
    )
    media_spool: str = MEDIA.variable(
        "WAROUTER_MEDIA_SPOOL",
        "/var/tmp",
        "The folder of this host where media is gathered on its way into a bucket, in files without"
        " names; on a disk, for `/tmp` may be memory.",
    )
    media_quota: Annotated[int, Meta(ge=0)] = MEDIA.variable(
        "WAROUTER_MEDIA_QUOTA",
        50 << 30,
        "The most that all media may take, unfinished files included, for webapps and coreapps;"
        " beyond it uploads are 507 and inbound media is not downloaded; `0` for no quota.",
        "bytes",
    )
    media_allow_http: bool = MEDIA.variable(
        "WAROUTER_MEDIA_ALLOW_HTTP",
        False,
        "`1` lets coreapps fetch media links with plain http.",
    )
    media_allow_private: str = MEDIA.variable(
        "WAROUTER_MEDIA_ALLOW_PRIVATE",
        "",
        "Networks besides public addresses, separated by commas, that media links of every user may"
        " go to, at any port: what answers GET there can be read by each of them.",
    )
    public_url: str = MEDIA.variable(
        "WAROUTER_PUBLIC_URL",
        "",
        "How clients reach the API, for coreapps; with it inbound media has a `link`.",
    )

    beat: float = TIMING.variable("WAROUTER_BEAT", 0.3, "How often a lease is renewed.", "seconds")
    lease: float = TIMING.variable(
        "WAROUTER_LEASE", 1.5, "A process that is silent for so long counts as dead.", "seconds"
    )
    margin: float = TIMING.variable(
        "WAROUTER_MARGIN", 0.2, "An owner stops so long before its lease ends.", "seconds"
    )

    retention_days: Annotated[float, Meta(ge=0)] = RETENTION.variable(
        "WAROUTER_RETENTION",
        30.0,
        "How long settled messages and events stay in the journals, ten minutes at least, and"
        " changes of owners and of the shard count, a day at least.",
        "days",
    )
    pending_seconds: Annotated[float, Meta(ge=1)] = RETENTION.variable(
        "WAROUTER_PENDING",
        86_400.0,
        "A message that the upstream has not taken for so long ends as `failed` with code 408.",
        "seconds",
    )
    letters_days: Annotated[float, Meta(ge=0)] = RETENTION.variable(
        "WAROUTER_LETTERS_RETENTION",
        365.0,
        "How long dead letters stay; `0` keeps them until they are delivered or deleted by hand.",
        "days",
    )
    audit_days: Annotated[int, Meta(ge=1, le=36_500)] = RETENTION.variable(
        "WAROUTER_AUDIT_RETENTION", 365, "How long rows of the audit log stay.", "days"
    )

    console_listen: str = CONSOLE.variable(
        "WAROUTER_CONSOLE_LISTEN",
        "127.0.0.1:9080",
        "host:port of the console; plain HTTP (`WAROUTER_NO_TLS=1`) is served on loopback only.",
    )
    console_hosts: str = CONSOLE.variable(
        "WAROUTER_CONSOLE_HOSTS",
        "",
        "Names that browsers reach the console by, separated by commas, besides `localhost` and the"
        " address that it listens on; any other is refused.",
    )
    console_api: str = CONSOLE.variable(
        "WAROUTER_CONSOLE_API",
        "https://localhost:9090",
        "The URL of the API, which the console calls in the name of who uses it; plain http on this"
        " host only.",
    )
    console_api_ca: str = CONSOLE.variable(
        "WAROUTER_CONSOLE_API_CA",
        "",
        "PEM file of the authorities that vouch for its certificate; empty for those of the"
        " system.",
    )
    console_bodies: bool = CONSOLE.variable(
        "WAROUTER_CONSOLE_BODIES",
        False,
        "`1` lets administrators look at the text of single messages; each look is a row of the"
        " audit log.",
    )
    console_user_header: str = CONSOLE.variable(
        "WAROUTER_CONSOLE_USER_HEADER",
        "",
        "The header field in which a proxy of `WAROUTER_TRUSTED_PROXIES` names the user that it has"
        " logged in; only users that exist are let in.",
    )
    console_simulator: str = CONSOLE.variable(
        "WAROUTER_CONSOLE_SIMULATOR",
        "",
        "The URL of the simulator's control port, for the page Try it; `warouter up` sets it.",
    )

    log_level: str = DIAGNOSTICS.variable(
        "WAROUTER_LOG_LEVEL", "INFO", "`DEBUG`, `INFO`, `WARNING` or `ERROR`."
    )
