"""Configuration: read from the environment once, and checked as a whole.

``variables`` lists what may be set. Names are the product's own (``WA_*``) and ``WAROUTER_*`` for
what is new. Unknown names are reported, so that typos are seen.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from warouter import cloud_number, cloud_settings
from warouter.cloud_number import NumberCloud
from warouter.cloud_settings import CloudSettings, is_loopback
from warouter.cloud_variables import CloudVariables
from warouter.errors import ConfigError
from warouter.variables import GROUPS, SUPERVISED, SecretSource

# Each is also read from X_FILE: see ``secret``.
SECRETS = tuple(name for group in GROUPS for name in group.secrets)
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MOST_API_KEYS = 8
AUTO = "auto"  # an address that is found as a process starts

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# Each name ends at a slash and nowhere else: a long wrong one is refused at once.
_PREFIX = re.compile(r"([\w-][\w.-]*(/[\w-][\w.-]*)*/?)?", re.ASCII)

# The product's names that are accepted and change nothing.
UNUSED = frozenset(
    [
        "WACORE_HOSTNAME",
        "WA_CADVISOR_PORT",
        "WA_CONFIG_ON_DB",
        "WA_CORE_ENDPOINT",
        "WA_DB_CONNECTION_IDLE_TIMEOUT",
        "WA_DB_CONNECTION_OPTION",
        "WA_DB_NODE_EXPORTER_ENDPOINT",
        "WA_DB_PERSISTENT",
        "WA_DB_UPGRADE",
        "WA_MASTER_NODE",
        "WA_MYSQLD_EXPORTER_ENDPOINT",
        "WA_NODE_EXPORTER_PORT",
        "WA_PROMETHEUS_ENDPOINT",
        "WA_PROMETHEUS_STORAGE_TSDB_RETENTION",
        "WA_RUNNING_ENV",
        "WA_RUNNING_ENV_VERSION",
        "WA_SECRET",
        "WA_TCP_LISTEN_ADDRESS",
        "WA_WEB_ENDPOINT",
        "WA_WEB_JWT_CRYPTO_KEY",
        "WA_WEB_PASSWORD",
        "WA_WEB_SECURITY_LEVEL",
        "WA_WEB_SERVERNAME",
        "WA_WEB_USERNAME",
    ]
)


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """The timing of ownership in seconds. Its rules are checked on load."""

    beat: float = 0.4  # η: one renewal of a lease every so often
    lease: float = 1.5  # T: silent for so long, on the leader's own clock, is dead
    margin: float = 0.2  # m: an owner stops so long before the lease ends
    poll: float = 0.25  # p: how often a leader looks unasked; a follower campaigns with each beat
    drain: float = 0.5  # the window's time to finish at a handover
    join: float = 3.0  # a coreapp is healthy for so long before shards are handed to it
    hold: float = 10.0  # a webapp keeps a request so long for an owner to come
    map_poll: float = 1.0  # how often a webapp reads the shard map and the nodes unasked
    watchdog: float = 10.0

    def __post_init__(self) -> None:
        rules = (
            (self.margin <= self.lease / 5, "margin must be at most a fifth of the lease"),
            (self.beat * 3 <= self.lease - self.margin, "three beats must fit into the lease"),
            (self.poll * 2 <= self.lease, "two polls must fit into the lease"),
            (self.drain < self.lease, "the drain must be shorter than the lease"),
            (self.watchdog > self.lease, "the watchdog must be longer than the lease"),
            (min(self.beat, self.margin, self.poll) > 0, "every time must be above 0"),
        )
        for holds, sentence in rules:
            if not holds:
                raise ValueError(sentence)

    @property
    def trust(self) -> float:
        """How long after a beat was *sent* its owner may act: lease - margin."""
        return self.lease - self.margin


class Settings(CloudVariables, frozen=True, kw_only=True):
    """The settings of a process from its environment, and values derived from them."""

    @property
    def timing(self) -> Timing:
        """The timing; raises ConfigError when its rules do not hold."""
        try:
            return Timing(beat=self.beat, lease=self.lease, margin=self.margin, hold=self.hold)
        except ValueError as error:
            raise ConfigError(
                f"WAROUTER_BEAT/LEASE/MARGIN do not fit together: {error}."
            ) from error

    @property
    def database(self) -> str:
        return self.db_name or f"{self.db_name_prefix}warouter"

    @property
    def db_servers(self) -> list[tuple[str, int]]:
        """(host or socket folder, port) of each server; one port stands for all of them."""
        hosts = [h.strip() for h in (self.db_hostname or "127.0.0.1").split(",")]
        ports = [p.strip() for p in self.db_port.split(",")]
        good = all(p.isdigit() and 0 < int(p) <= 65535 for p in ports)
        if not all(hosts) or not good or len(ports) not in (1, len(hosts)):
            raise ConfigError(
                f"WA_DB_HOSTNAME is {self.db_hostname!r} and WA_DB_PORT {self.db_port!r}: give"
                " hosts and ports separated by commas, with one port for all hosts or one for each."
            )
        return list(zip(hosts, map(int, ports * (len(hosts) // len(ports))), strict=True))

    @property
    def db_where(self) -> str:
        """The servers as text for people."""
        return ",".join(f"{host}:{port}" for host, port in self.db_servers)

    @property
    def db_password_source(self) -> SecretSource:
        """Where the role's password is; nowhere where the server asks for none."""
        return SecretSource(self.db_password, self.db_password_file or self.db_password_file_too)

    @property
    def db_password_name(self) -> str:
        """The variable that names it, for what is said to an operator."""
        return f"{'WAROUTER' if self.db_password_file_too else 'WA'}_DB_PASSWORD"

    @property
    def api_key_source(self) -> SecretSource:
        return SecretSource(self.api_key, self.api_key_file)

    @property
    def api_key_name(self) -> str:
        """The variable that names it."""
        return "WA_API_KEY_FILE" if self.api_key_file else "WA_API_KEY"

    @property
    def media_bucket(self) -> tuple[str, str]:
        """The bucket and the prefix of WAROUTER_MEDIA_URL; ConfigError if it is no such URL."""
        scheme, _, rest = self.media_url.partition("://")
        bucket, _, prefix = rest.partition("/")
        if scheme != "s3" or not _BUCKET.fullmatch(bucket) or not _PREFIX.fullmatch(prefix):
            raise ConfigError(
                f"WAROUTER_MEDIA_URL is {self.media_url!r}; it must be s3://BUCKET or"
                " s3://BUCKET/PREFIX, of letters, digits and -_. only."
            )
        return bucket, prefix.strip("/")

    @property
    def media_s3_secret_source(self) -> SecretSource:
        return SecretSource(self.media_s3_secret_key, self.media_s3_secret_key_file)

    @property
    def private_keys(self) -> dict[str, str]:
        """The paths of private keys by variable; without one a key is in its certificate's file."""
        values = {f.encode_name: getattr(self, f.name) for f in msgspec.structs.fields(self)}
        found = {}
        for key in (name for group in GROUPS for name in group.private_keys):
            name = key if values[key] else f"{key.removesuffix('KEY')}CERT"
            if path := values[name]:
                found[name] = path
        return found

    @property
    def link_port(self) -> int:
        """The port of the link, the first of COREAPP_EXTERNAL_PORTS."""
        return _first_port(self.coreapp_ports, "COREAPP_EXTERNAL_PORTS")

    @property
    def webapp_port(self) -> int:
        return _first_port(self.webapp_ports, "WEBAPP_EXTERNAL_PORTS")

    @property
    def allowed_webhook_ports(self) -> frozenset[int]:
        """Allowed ports of webhooks at public addresses; 80 only with plain http allowed."""
        parts = [p.strip() for p in self.webhook_ports.split(",")]
        if not all(p.isdigit() and 0 < int(p) <= 65535 for p in parts):
            raise ConfigError(
                f"WAROUTER_WEBHOOK_PORTS is {self.webhook_ports!r}; give port numbers"
                " separated by commas."
            )
        return frozenset(map(int, parts)) | ({80} if self.webhook_allow_http else frozenset())

    @property
    def console_host_port(self) -> tuple[str, int]:
        """Where the console listens; ConfigError if it would be plain HTTP beyond loopback."""
        host, port = _host_port(self.console_listen, "WAROUTER_CONSOLE_LISTEN")
        host = host.strip("[]")
        if self.no_tls and not is_loopback(host):
            raise ConfigError(
                f"WAROUTER_CONSOLE_LISTEN is {self.console_listen} with WAROUTER_NO_TLS=1, and"
                " passwords are typed there: listen on loopback behind a proxy that terminates TLS,"
                " or set WAROUTER_TLS_CERT and WAROUTER_TLS_KEY."
            )
        return host, port

    @property
    def upstream_host_port(self) -> tuple[str, int]:
        return _host_port(self.upstream_address, "WAROUTER_UPSTREAM_ADDRESS")

    @property
    def upstream_services_url(self) -> str:
        """The URL of the upstream's media, contact and registration services."""
        host, port = _host_port(self.upstream_services, "WAROUTER_UPSTREAM_SERVICES")
        return f"http://{host}:{port}"

    @property
    def cloud(self) -> CloudSettings:
        """The settings of the Cloud API for all numbers; raises ConfigError."""
        return cloud_settings.checked(self, self.timing.lease, self.timing.watchdog)

    @property
    def number_cloud(self) -> NumberCloud:
        """Number 1 as the Cloud API has it; raises ConfigError, also for what is missing."""
        return cloud_number.checked(self)

    @property
    def upstream_name(self) -> str:
        """The upstream as the database names it: `simulator`, or `cloud:` and the number's id."""
        if self.upstream == "simulator":
            return self.upstream
        return f"{self.upstream}:{self.cloud_phone_number_id}"

    def __repr__(self) -> str:
        return "Settings(...)"


def _in_english(what: str) -> str:
    """Say in English what msgspec says of a value."""
    kind, _, bound = what.removeprefix("Expected `").partition("`")
    said = {"float": "must be a number", "int": "must be a whole number", "bool": "must be 0 or 1"}
    return said.get(kind, what) + ("" if "got" in bound else bound)


def load(environ: Mapping[str, str]) -> Settings:
    """The settings of an environment; raises ConfigError with the variable and what it allows."""
    names = {field.encode_name for field in msgspec.structs.fields(Settings)}
    given: dict[str, Any] = {
        name: value for name, value in environ.items() if name in names and value != ""
    }
    try:
        settings = msgspec.convert(given, Settings, strict=False)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        name = where.rstrip("`")
        # No secret is of a type that can be wrong.
        value = f", and it is {given[name]!r}" if name in given else ""
        what = _in_english(what)
        raise ConfigError(
            f"{name or 'The environment'} {what}{value}: correct it, or unset it for its default."
        ) from error
    if settings.db_engine.upper() != "PGSQL":
        raise ConfigError(
            f"WA_DB_ENGINE is {settings.db_engine!r}; warouter runs on PostgreSQL only:"
            " set it to PGSQL."
        )
    _check_db_ssl(settings)
    if settings.shards_cert not in ("after-7-days", "never"):
        raise ConfigError("WAROUTER_SHARDS_CERT must be after-7-days or never.")
    _check_secrets(given)
    _check_media(settings, given)
    if settings.api_key and not _is_api_key(settings.api_key):
        raise ConfigError("WA_API_KEY must have 12 to 128 characters.")
    if settings.upstream == "cloud":
        _ = settings.cloud, settings.number_cloud
    elif settings.upstream != "simulator":
        raise ConfigError(f"--upstream {settings.upstream} is unknown; use simulator or cloud.")
    if settings.log_level.upper() not in LOG_LEVELS:
        raise ConfigError(f"WAROUTER_LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}.")
    if settings.coreapp_hostname in ("0.0.0.0", "::", ""):
        raise ConfigError(
            "COREAPP_HOSTNAME must be the address that webapps reach this host at, or auto."
        )
    _ = settings.db_servers  # refused here, not at the first connection
    _ = settings.allowed_webhook_ports
    if not settings.db_schema.isidentifier():
        raise ConfigError("WAROUTER_DB_SCHEMA must be a plain identifier.")
    return settings


def _check_db_ssl(settings: Settings) -> None:
    if settings.db_ssl not in ("verify", "off"):
        raise ConfigError(f"WAROUTER_DB_SSL is {settings.db_ssl!r}; it must be verify or off.")
    if settings.db_ssl == "off" and settings.db_ssl_ca:
        raise ConfigError(
            "WAROUTER_DB_SSL is off, yet WA_DB_SSL_CA is set, by which servers are verified:"
            " unset one of them."
        )


def _check_media(settings: Settings, given: Mapping[str, str]) -> None:
    if not settings.media_url:
        return
    _ = settings.media_bucket
    if "WAROUTER_MEDIA_DIR" in given:
        raise ConfigError(
            "WAROUTER_MEDIA_DIR and WAROUTER_MEDIA_URL are both set; give one of them, and the"
            " other as an empty value where a unit sets it."
        )
    scheme, colon, host = settings.media_s3_endpoint.partition("://")
    good = scheme in ("http", "https") and colon and host and "@" not in host
    if settings.media_s3_endpoint and not good:
        # Not shown: it may hold a password.
        raise ConfigError(
            "WAROUTER_MEDIA_S3_ENDPOINT must be a URL without a login, such as"
            " https://s3.example.com:9000."
        )
    secret = settings.media_s3_secret_source
    if bool(settings.media_s3_access_key) != bool(secret.value or secret.path):
        raise ConfigError(
            "WAROUTER_MEDIA_S3_KEY_ID and WAROUTER_MEDIA_S3_SECRET_KEY (or its _FILE) belong"
            " together; set both, or neither for the credentials of AWS."
        )


def api_keys_of(text: str) -> tuple[str, ...]:
    """The API keys in a text, one a line; ValueError if one has a wrong length."""
    keys = tuple(line.strip() for line in text.split("\n") if line.strip())
    if not 0 < len(keys) <= MOST_API_KEYS or not all(map(_is_api_key, keys)):
        raise ValueError(f"there must be 1 to {MOST_API_KEYS} lines of 12 to 128 characters")
    return keys


def _is_api_key(text: str) -> bool:
    return 12 <= len(text) <= 128


def _check_secrets(given: Mapping[str, str]) -> None:
    """Refuse a secret that is given by value and by file."""
    for name in SECRETS:
        if name in given and f"{name}_FILE" in given:
            raise ConfigError(f"{name} and {name}_FILE are both set; give one of them.")
    ours, too = "WA_DB_PASSWORD_FILE", "WAROUTER_DB_PASSWORD_FILE"
    if too in given and "WA_DB_PASSWORD" in given:
        raise ConfigError(f"WA_DB_PASSWORD and {too} are both set; give one of them.")
    if given.get(ours, given.get(too)) != given.get(too, given.get(ours)):
        raise ConfigError(f"{ours} and {too} name different files; give one of them.")


def unknown_names(environ: Mapping[str, str]) -> list[str]:
    """WA_* and WAROUTER_* variables that do not exist: most likely typing errors."""
    known = {field.encode_name for field in msgspec.structs.fields(Settings)} | UNUSED
    own = ("WA_", "WAROUTER_")
    return sorted(n for n in environ if n.startswith(own) and n not in known | INTERNAL)


# Not settings: those of a supervisor, and the one that `setup.py` reads.
INTERNAL = {"WAROUTER_CYTHON_DEBUG", *(variable.name for variable in SUPERVISED)}


def _first_port(ports: str, name: str) -> int:
    first = ports.split(",")[0].strip()
    if not first.isdigit() or not 0 <= int(first) <= 65535:
        raise ConfigError(f"{name} is {ports!r}; its first entry must be a port number.")
    return int(first)


def _host_port(address: str, name: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"{name} is {address!r}; it must be host:port.")
    return host, int(port)


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


# What they list is open to the webhook, and to media links of every user.
WEBHOOK_NETWORKS = "WAROUTER_ALLOW_PRIVATE"
MEDIA_NETWORKS = "WAROUTER_MEDIA_ALLOW_PRIVATE"


def networks(text: str, name: str = WEBHOOK_NETWORKS) -> list[Network]:
    """The networks in the variable ``name``, separated by commas; ConfigError for a wrong one."""
    result: list[Network] = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        try:
            result.append(ipaddress.ip_network(part, strict=False))
        except ValueError as error:
            raise ConfigError(f"{name}: {part!r} is not a network.") from error
    return result
