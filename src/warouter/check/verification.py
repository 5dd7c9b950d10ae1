"""Rules of `warouter check`: peers that are not verified, networks that are too wide. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from warouter.check.facts import InstallationFacts, several
from warouter.check.finding import Level, rule
from warouter.config import MEDIA_NETWORKS, WEBHOOK_NETWORKS, Network, networks

# Of the private networks 10.0.0.0/8 and fc00::/7 are the largest.
_WIDEST = {4: 8, 6: 7}
# Where clouds tell a machine its credentials.
_METADATA = (ip_address("169.254.169.254"), ip_address("fd00:ec2::254"))


@rule(
    "database-unverified",
    Level.WARNING,
    "sessions with PostgreSQL that do not verify its certificate",
    "Set WA_DB_SSL_CA to the authority that signed it, and WA_DB_HOSTNAME to a name in it.",
    database=True,
)
def _database_unverified(facts: InstallationFacts) -> Iterator[str]:
    if facts.distant and facts.known.verified is False:
        yield (
            f"The certificate of PostgreSQL at {several(facts.distant)} is not verified: an"
            " impostor in between could read and change everything."
        )


@rule(
    "networks-wide",
    Level.WARNING,
    "networks in WAROUTER_ALLOW_PRIVATE or WAROUTER_MEDIA_ALLOW_PRIVATE that are too wide, or"
    " have a cloud's metadata service",
    "Name the hosts of the webhook, or of media, alone, such as 10.1.2.3/32.",
)
def _networks_wide(facts: InstallationFacts) -> Iterator[str]:
    for name, listed, who in _opened(facts):
        if wide := [str(n) for n in listed if _is_wide(n)]:
            yield f"{name} has {several(wide)}: {who} reaches what should be out of reach."


@rule(
    "networks-open",
    Level.NOTE,
    "private networks that the webhook, or media links of every user, may reach",
    "Take out what is not needed; of media links every user reads what answers GET there.",
)
def _networks_open(facts: InstallationFacts) -> Iterator[str]:
    for name, listed, who in _opened(facts):
        if narrow := [str(n) for n in listed if not _is_wide(n)]:
            yield f"{name} opens {several(narrow)} to {who}."


def _opened(facts: InstallationFacts) -> Iterator[tuple[str, list[Network], str]]:
    """Each list of private networks by its variable, and to whom it opens them."""
    settings = facts.settings
    webhook, media = networks(settings.allow_private), settings.media_allow_private
    yield WEBHOOK_NETWORKS, webhook, "the webhook, which an administrator sets"
    yield MEDIA_NETWORKS, networks(media, MEDIA_NETWORKS), "each media link of every user"


def _is_wide(network: Network) -> bool:
    metadata = any(a in network for a in _METADATA if a.version == network.version)
    return network.prefixlen < _WIDEST[network.version] or metadata


RULES = (_database_unverified, _networks_wide, _networks_open)
