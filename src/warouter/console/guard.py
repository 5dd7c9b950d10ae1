"""Guards the console: who may ask, and what a browser may do with the answer. Pure.

A page of another site can make a visitor's browser send forms here, with the cookie unless that is
SameSite, and a name that is made to resolve to loopback lets it read what comes back. So each
request must name a host that this console is reached at, and whatever changes something must come
from a page of its own: browsers say so in Sec-Fetch-Site (Fetch Metadata, W3C), and where they
do not, in Origin.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping

UNSAFE = frozenset(("POST", "PUT", "PATCH", "DELETE"))
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_NOTHING = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "microphone",
        "payment",
        "usb",
    )
)
HEADERS = {
    "Server": "warouter",
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": _NOTHING,
}
STRICT_TRANSPORT = "max-age=31536000"


def headers(host: str | None, tls: bool) -> dict[str, str]:
    """The header fields of every answer.

    Not on loopback: a browser would ask all that listens on this machine for TLS from then on.
    """
    if tls and not known_host(host, LOOPBACK_HOSTS):
        return HEADERS | {"Strict-Transport-Security": STRICT_TRANSPORT}
    return HEADERS


def hosts_of(listen: str, given: str) -> frozenset[str]:
    """The host names that this console answers to, in lower case and without ports.

    ``given`` is WAROUTER_CONSOLE_HOSTS. Loopback is always among them, and the address that it
    listens at if that is a certain one.
    """
    named = [name.strip().lower() for name in given.split(",") if name.strip()]
    own = [] if listen in ("0.0.0.0", "::", "") else [_bracketed(listen.lower())]
    return frozenset((*LOOPBACK_HOSTS, *own, *map(_bracketed, named)))


def known_host(host: str | None, hosts: Collection[str]) -> bool:
    """True if the Host of a request is one of these; its port may be any."""
    if not host:
        return False
    name, colon, port = host.lower().rpartition(":")
    if colon and port.isascii() and port.isdigit():
        return name in hosts
    return host.lower() in hosts


def same_origin(fields: Mapping[str, str], scheme: str) -> bool:
    """True if the request comes from a page of this very console, or from no page at all.

    ``fields`` are its header fields. Browsers leave Sec-Fetch-Site out on plain http beyond
    localhost: then ``Origin`` must be there, and be ours.
    """
    site = fields.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return fields.get("Origin", "").lower() == f"{scheme}://{fields.get('Host', '')}".lower()


def by_itself(fields: Mapping[str, str]) -> bool:
    """True unless a page of another site has led the browser here, as far as it says."""
    return fields.get("Sec-Fetch-Site", "none") in ("none", "same-origin")


def _bracketed(name: str) -> str:
    """An address of IPv6 as it stands in a URL."""
    try:
        return f"[{name}]" if ipaddress.ip_address(name).version == 6 else name
    except ValueError:
        return name
