"""Rules of `warouter check`: what crosses a network without TLS. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from warouter.check.facts import InstallationFacts, several
from warouter.check.finding import Level, rule
from warouter.cloud_settings import is_loopback


@rule(
    "database-tls-off",
    Level.WARNING,
    "settings that switch TLS to PostgreSQL off",
    "Unset WAROUTER_DB_SSL, and set WA_DB_SSL_CA to the authority of the server's certificate.",
)
def _database_tls_off(facts: InstallationFacts) -> Iterator[str]:
    if facts.distant and facts.settings.db_ssl == "off":
        yield (
            f"WAROUTER_DB_SSL is off, and PostgreSQL at {several(facts.distant)} is reached over a"
            " network."
        )


@rule(
    "database-clear",
    Level.WARNING,
    "sessions that cross a network to PostgreSQL without TLS",
    "Give the server a certificate, unset WAROUTER_DB_SSL, restart these processes, and let"
    " pg_hba.conf admit other hosts by hostssl alone.",
    database=True,
)
def _database_clear(facts: InstallationFacts) -> Iterator[str]:
    trust = facts.known.trust
    if trust.clear:
        names = [f"{one.name} {one.clear}" for one in trust.programs if one.clear]
        yield (
            f"{trust.clear} of {trust.sessions} sessions come to PostgreSQL from other hosts"
            f" without TLS: {several(names)}."
        )


@rule(
    "api-clear",
    Level.WARNING,
    "webapps that serve plain HTTP to other hosts",
    "Give WAROUTER_TLS_CERT and WAROUTER_TLS_KEY in place of WAROUTER_NO_TLS, or listen on"
    " loopback behind a proxy on this host.",
)
def _api_clear(facts: InstallationFacts) -> Iterator[str]:
    settings = facts.settings
    if settings.no_tls and not is_loopback(settings.webapp_hostname):
        yield (
            f"WAROUTER_NO_TLS is set, and webapps listen on {settings.webapp_hostname}: passwords"
            " and tokens of the API cross the network in clear text."
        )


@rule(
    "cloud-clear",
    Level.WARNING,
    "listeners for Meta's webhooks that serve plain HTTP to other hosts",
    "Give WAROUTER_CLOUD_TLS_CERT and WAROUTER_CLOUD_TLS_KEY, or listen on loopback behind a"
    " proxy on this host.",
)
def _cloud_clear(facts: InstallationFacts) -> Iterator[str]:
    settings = facts.settings
    if settings.upstream != "cloud":
        return
    cloud = settings.cloud
    if not cloud.tls_cert and not is_loopback(cloud.listen[0]):
        yield (
            f"WAROUTER_CLOUD_LISTEN is {cloud.listen[0]} without WAROUTER_CLOUD_TLS_CERT: webhooks"
            " of Meta cross the network in clear text."
        )


@rule(
    "console-clear",
    Level.WARNING,
    "consoles that are to call the API of another host by plain http",
    "Give the API a certificate, and name it with https in WAROUTER_CONSOLE_API.",
)
def _console_clear(facts: InstallationFacts) -> Iterator[str]:
    settings = facts.settings
    try:
        url = urlsplit(settings.console_api)
    except ValueError:
        return
    if url.scheme == "http" and not facts.host.console_api_here:
        yield (
            f"WAROUTER_CONSOLE_API leads to {url.hostname} by plain http: each call would carry an"
            " administrator's token over the network in clear text, so no console starts."
        )


@rule(
    "webhook-clear",
    Level.WARNING,
    "webhooks with plain http on another host",
    "Set an https URL by PATCH /v1/settings/application, then unset WAROUTER_WEBHOOK_ALLOW_HTTP.",
    database=True,
)
def _webhook_clear(facts: InstallationFacts) -> Iterator[str]:
    try:
        url = urlsplit(facts.known.webhook or "")
    except ValueError:
        return
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        yield f"The webhook at {url.hostname} is called with plain http."


@rule(
    "http-allowed",
    Level.NOTE,
    "settings that allow plain http to webhooks and media",
    "Unset it where nothing needs it.",
)
def _http_allowed(facts: InstallationFacts) -> Iterator[str]:
    if facts.settings.webhook_allow_http:
        yield "WAROUTER_WEBHOOK_ALLOW_HTTP is set: an administrator may set a webhook with http."
    if facts.settings.media_allow_http:
        yield "WAROUTER_MEDIA_ALLOW_HTTP is set: media links with http are fetched."


@rule(
    "link-clear",
    Level.CRITICAL,
    "links between hosts without TLS",
    "Set COREAPP_HOSTNAME to the address that other hosts reach, and restart these coreapps.",
    database=True,
)
def _link_clear(facts: InstallationFacts) -> Iterator[str]:
    bare = [one.name for one in facts.known.trust.distant if one.pinned is False]
    if bare:
        yield f"The links of {several(bare)} have no certificate: messages cross the network bare."


@rule(
    "simulator-open",
    Level.WARNING,
    "simulators that other hosts can reach",
    "Let the simulator listen on 127.0.0.1, or let a firewall admit coreapps and webapps only.",
)
def _simulator_open(facts: InstallationFacts) -> Iterator[str]:
    settings = facts.settings
    if settings.upstream != "simulator":
        return
    if facts.host.simulator_open:
        yield (
            f"The simulator of this host listens on {several(facts.host.simulator_open)}: who"
            " reaches it is taken for a coreapp, and reads messages."
        )
    host = settings.upstream_host_port[0]
    if not is_loopback(host):
        yield f"The simulator is at {host}: messages go there without TLS, and nobody logs in."


RULES = (
    _database_tls_off,
    _database_clear,
    _link_clear,
    _api_clear,
    _cloud_clear,
    _console_clear,
    _webhook_clear,
    _http_allowed,
    _simulator_open,
)
