"""The step of the callback URL: what it answers to us. Pure.

A hint: Meta sees another address of it than we do, and a host may not reach itself from outside.
Only what a webapp itself says is certain.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from warouter.cloud_settings import is_loopback
from warouter.upstream.cloud.check.contact import ServerContact, remedy
from warouter.upstream.cloud.check.step import CheckStep, StepResult, failed, ok, warning

NAME = "callback"
_HERE = "Seen from here, which may not be how Meta sees it"


class Handshake(NamedTuple):
    """Our own; ``right`` if the answer is the challenge, ``by_webapp`` if it is a refusal in a
    webapp's own words.
    """

    url: str
    contact: ServerContact
    right: bool
    by_webapp: bool = False


def judge(found: Handshake) -> CheckStep:
    if found.right:
        return ok(NAME, "It answers the handshake, with this verify token.")
    if found.by_webapp:
        return failed(NAME, f"The webapp at {_host(found)} has another verify token.", _todo(found))
    if is_loopback(urlsplit(found.url).hostname or ""):  # loopback is the same address to all of us
        return failed(NAME, f"{_what(found)}.", _todo(found))
    return warning(NAME, f"{_HERE}: {_what(found)}.", _todo(found))


def unasked() -> CheckStep:
    """The URL may be a proxy's of ours, or somebody else's."""
    return CheckStep(
        NAME, StepResult.SKIPPED, "It is not known for a webapp's, so it is not asked."
    )


def hint(found: Handshake) -> str:
    """The probable reason why Meta's own handshake failed."""
    if found.right:
        return (
            "It answers from here, so Meta does not get there, or meets something else: check the"
            " public address of its name, the firewall, and that the certificate is of a public"
            " authority, with its whole chain."
        )
    return f"Seen from here, {_what(found)}. {_todo(found)}"


def _todo(found: Handshake) -> str:
    trouble = found.contact.trouble
    if trouble is not None:
        return remedy(trouble)
    if found.by_webapp:
        return (
            "Give the webapps the WAROUTER_CLOUD_VERIFY_TOKEN that this command has, and restart"
            " those that have it from a variable."
        )
    return "Check that the URL, and a proxy behind it, lead to the listener of a webapp."


def _host(found: Handshake) -> str:
    return urlsplit(found.url).netloc


def _what(found: Handshake) -> str:
    contact, host = found.contact, _host(found)
    if contact.trouble is not None:
        words = f" ({contact.words})" if contact.words else ""
        return f"{host} {contact.trouble.value}{words}"
    if found.by_webapp:
        return f"the webapp at {host} has another verify token"
    if contact.status == 200:
        return f"{host} answers, but not with the challenge"
    return f"{host} answers HTTP {contact.status} to the handshake"
