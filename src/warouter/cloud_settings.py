"""The settings of the Cloud API that hold for the whole installation, checked as a whole.

Raised here, before a process begins anything: what is missing, malformed or contradicts itself,
each with one sentence. What belongs to a number is in ``cloud_number``. What a secret may look
like, and whether its file can be read, is for ``upstream.cloud.secrets``.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import date, timedelta
from urllib.parse import SplitResult, urlsplit

import msgspec

from warouter.cloud_variables import CloudVariables
from warouter.errors import ConfigError

WEBHOOK_PATH = "/cloud/webhook"
REQUEST_SECONDS = 20.0  # a whole request to the Graph API, its answer included
# Windows in seconds where WAROUTER_CLOUD_DOUBT_SECONDS is at its default; that of authentication
# templates is the shortest.
DEFAULT_WINDOW, SHORTEST_WINDOW = 60.0, 35.0

# When Meta ends a version; those before the first have ended, of those after the last nobody knows.
_ENDS: dict[tuple[int, int], date | None] = {
    (21, 0): date(2027, 1, 21),
    (22, 0): date(2027, 5, 20),
    (23, 0): date(2027, 10, 8),
    (24, 0): date(2028, 2, 18),
    (25, 0): date(2028, 7, 29),
    (26, 0): None,  # not set
    (27, 0): None,
}
_LONG_SINCE = date(1970, 1, 1)
_WARN_BEFORE = timedelta(days=90)
_VERSION = re.compile(r"v([1-9][0-9]?)\.([0-9])", re.ASCII)
_CHOICES = {
    "cloud_in_doubt": ("WAROUTER_CLOUD_IN_DOUBT", ("resend", "fail", "hold")),
    "cloud_order": ("WAROUTER_CLOUD_ORDER", ("accepted", "sent")),
    "cloud_marketing": ("WAROUTER_CLOUD_MARKETING", ("messages", "auto")),
    "cloud_standby": ("WAROUTER_CLOUD_STANDBY", ("off", "mark", "pass")),
    "cloud_echoes": ("WAROUTER_CLOUD_ECHOES", ("off", "mark", "pass")),
    "cloud_bsuid": ("WAROUTER_CLOUD_BSUID", ("alias", "raw", "drop")),
}


class CloudSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Those of ``WAROUTER_CLOUD_*`` that all numbers share. Times are seconds."""

    version: str = "v25.0"  # of the Graph API, for an app that names none
    marketing: str = "messages"  # or auto
    base_url: str = "https://graph.facebook.com"  # without a slash at its end
    listen: tuple[str, int] = ("127.0.0.1", 9095)
    tls_cert: str = ""
    tls_key: str = ""
    mtls_ca: str = ""
    mtls_name: str = ""
    doubt_seconds: float = 60.0
    connections: int = 512  # of an owner to the Graph API, at most
    order: str = "accepted"  # or sent
    bsuid: str = "alias"  # or raw, drop
    standby: str = "off"  # or mark, pass
    echoes: str = "off"
    late_success: bool = False
    # F: so long after a lease ended, a request of its former owner may still be taken by Meta.
    fence: float = 31.5

    @property
    def shortest_window(self) -> float:
        return self.doubt_seconds * SHORTEST_WINDOW / DEFAULT_WINDOW

    def warnings(self, today: date | None = None) -> list[str]:
        """A sentence for each setting that is accepted and dangerous."""
        found = [_ending(self.version, today or date.today())]
        if self.shortest_window <= self.fence:
            found.append(
                f"WAROUTER_CLOUD_DOUBT_SECONDS is {self.doubt_seconds:g}, so the shortest window"
                f" takes {self.shortest_window:.3g} s, but Meta can still take what a former owner"
                f" sent for {self.fence:g} s: messages may be sent twice or in another order."
            )
        if not self.tls_cert and not is_loopback(self.listen[0]):
            found.append(
                f"WAROUTER_CLOUD_LISTEN is {self.listen[0]} without WAROUTER_CLOUD_TLS_CERT: only a"
                " proxy that terminates TLS may reach it."
            )
        return [sentence for sentence in found if sentence]


def checked(given: CloudVariables, lease: float, watchdog: float) -> CloudSettings:
    """The settings in these variables; raises ConfigError with the variable and what to do."""
    for field, (name, allowed) in _CHOICES.items():
        if (value := getattr(given, field)) not in allowed:
            raise ConfigError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}.")
    _check_tls(given)
    return CloudSettings(
        version=_version(given.cloud_version),
        marketing=given.cloud_marketing,
        base_url=_base_url(given.cloud_base_url),
        listen=_listen(given.cloud_listen),
        tls_cert=given.cloud_tls_cert,
        tls_key=given.cloud_tls_key,
        mtls_ca=given.cloud_mtls_ca,
        mtls_name=given.cloud_mtls_name,
        doubt_seconds=given.cloud_doubt_seconds,
        connections=given.cloud_connections,
        order=given.cloud_order,
        bsuid=given.cloud_bsuid,
        standby=given.cloud_standby,
        echoes=given.cloud_echoes,
        late_success=given.cloud_late_success,
        fence=lease + REQUEST_SECONDS + watchdog,
    )


def version_end(version: str) -> date | None:
    """The day on which Meta ends a version: 1970 if it ended long since, None if unknown."""
    number = _number(version)
    return _LONG_SINCE if (0, 0) < number < min(_ENDS) else _ENDS.get(number)


def _number(version: str) -> tuple[int, int]:
    match = _VERSION.fullmatch(version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _version(text: str) -> str:
    if not _VERSION.fullmatch(text):
        raise ConfigError(f"WAROUTER_CLOUD_VERSION is {text!r}; it must be like v25.0.")
    return text


def _ending(version: str, today: date) -> str:
    """A sentence about the end of a version that is past or near, else ""."""
    end = version_end(version)
    if end is None and _number(version) not in _ENDS:
        return (
            f"WAROUTER_CLOUD_VERSION is {version}, which this build does not know: it is used, and"
            " nobody has tried it."
        )
    if end is not None and today >= end:
        return f"WAROUTER_CLOUD_VERSION is {version}, which Meta has ended: set a newer one."
    if end is not None and today >= end - _WARN_BEFORE:
        return f"WAROUTER_CLOUD_VERSION is {version}, which Meta ends on {end}: set a newer one."
    return ""


def _base_url(text: str) -> str:
    try:
        url = urlsplit(text)
        usable = bool(url.hostname) and url.port != 0 and not _has_more(url)
    except ValueError:
        usable = False
    if not usable or url.scheme not in ("https", "http"):
        raise ConfigError(
            f"WAROUTER_CLOUD_BASE_URL is {text!r}; it must be like https://graph.facebook.com."
        )
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        raise ConfigError(
            f"WAROUTER_CLOUD_BASE_URL is {text!r}; plain http is for loopback only, since each"
            " request carries the token."
        )
    return text.rstrip("/")


def _has_more(url: SplitResult) -> bool:
    """True for what a base has no use for, or what could break a request line."""
    text = url.geturl()
    odd = not text.isascii() or not text.isprintable() or " " in text
    return odd or "@" in url.netloc or bool(url.query or url.fragment)


def _listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ConfigError(f"WAROUTER_CLOUD_LISTEN is {text!r}; it must be host:port.")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _check_tls(given: CloudVariables) -> None:
    if bool(given.cloud_tls_cert) != bool(given.cloud_tls_key):
        raise ConfigError("WAROUTER_CLOUD_TLS_CERT and WAROUTER_CLOUD_TLS_KEY go together.")
    if given.cloud_mtls_name and not given.cloud_mtls_ca:
        raise ConfigError("WAROUTER_CLOUD_MTLS_NAME needs WAROUTER_CLOUD_MTLS_CA.")
    if given.cloud_mtls_ca and not given.cloud_tls_cert:
        raise ConfigError(
            "WAROUTER_CLOUD_MTLS_CA needs WAROUTER_CLOUD_TLS_CERT: who terminates TLS has to ask"
            " for the client's certificate."
        )


def is_loopback(host: str) -> bool:
    """True for a name or an address of this host itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
