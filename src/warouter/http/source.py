"""The address that a request comes from: the peer's, or the client's that a proxy names."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from aiohttp import web

from warouter.app_settings import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_FORWARDED = ("Forwarded", "X-Real-IP", "Via")  # said by proxies, and read by nobody here
_IPV6_CUSTOMER = 64  # bits: what one customer of a provider has at the least


def source_of(request: web.Request, trusted: Sequence[Network]) -> str:
    """The address as text; empty for a peer without one (a Unix socket).

    ``X-Forwarded-For`` counts only from a proxy in ``trusted``, and of it the last entry that is no
    such proxy: what stands before it is what the client itself wrote.
    """
    peer, hops = _address(request.remote or ""), _hops(request)
    while peer is not None and _listed(peer, trusted) and hops:
        further = _address(hops.pop())
        if further is None:
            break
        peer = further
    return "" if peer is None else str(peer)


def is_from_this_host(request: web.Request, trusted: Sequence[Network]) -> bool:
    """True if the client itself is on this host, and no proxy stands for one elsewhere.

    The peer must be loopback. What came through a proxy counts only if that is in ``trusted``, and
    every address that it names is loopback as well: in doubt it is no.
    """
    peer, hops = _address(request.remote or ""), _hops(request)
    if peer is None or not peer.is_loopback:
        return False
    if not hops:
        return not any(name in request.headers for name in _FORWARDED)
    named = [_address(hop) for hop in hops]
    return _listed(peer, trusted) and all(hop is not None and hop.is_loopback for hop in named)


def from_proxy(request: web.Request, trusted: Sequence[Network]) -> bool:
    """True if the peer itself is a proxy in ``trusted``: what it adds to a request counts."""
    peer = _address(request.remote or "")
    return peer is not None and _listed(peer, trusted)


def limited_address(source: str, trusted: Sequence[Network]) -> str | None:
    """The address under which connections of this source are
    limited (for IPv6 its /64); None if it has no limit.

    None are loopback and the listed proxies, behind which are many.
    """
    address = _address(source)
    if address is None or address.is_loopback or _listed(address, trusted):
        return None
    return prefix_of(source)


def prefix_of(source: str) -> str:
    """The address under which failures of this source are counted (for IPv6 its /64).

    Not more of IPv4: the right password must not wait for what a neighbour guesses.
    """
    address = _address(source)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _IPV6_CUSTOMER), strict=False))
    return source


def _hops(request: web.Request) -> list[str]:
    """The entries of ``X-Forwarded-For``, the nearest last."""
    forwarded = request.headers.getall("X-Forwarded-For", [])
    return [hop.strip() for line in forwarded for hop in line.split(",")]


def _address(text: str) -> Address | None:
    """The address of ``1.2.3.4``, ``1.2.3.4:5``, ``::1`` or ``[::1]:5``; IPv4 if it is mapped."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _listed(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
