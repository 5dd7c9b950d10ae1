"""Where outgoing HTTP may go: public addresses, and what ``WAROUTER_ALLOW_PRIVATE`` lists.

Used for callbacks and for media links: both go to addresses that a client of the API named.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable, Sequence

from aiohttp import AddrInfoType

from warouter.app_settings import Network, is_allowed


def socket_factory(allow_private: Sequence[Network]) -> Callable[[AddrInfoType], socket.socket]:
    """For aiohttp's TCPConnector: a socket for an address that is allowed, or OSError (EACCES).

    This is the one place that every connection passes, after the name was resolved and with the
    very address that is connected to: there is no second lookup to be lied to.
    """

    def open_socket(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        if not is_allowed(ipaddress.ip_address(str(address[0])), allow_private):
            raise OSError(errno.EACCES, "address is not public and not in WAROUTER_ALLOW_PRIVATE")
        return socket.socket(family, kind, protocol)

    return open_socket
