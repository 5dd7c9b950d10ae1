"""The product's error codes for messages, with their titles. Pure.

These arrive in ``statuses[].errors`` and ``messages[].errors``; those that a request is answered
with at once are the classes of ``errors.py``.
"""

from __future__ import annotations

from typing import Any

# Where a webapp says what each code means; relative to the API, as clients know its address.
PAGE = "/v1/errors"

# code -> title, and what is said where the upstream says nothing more.
_TABLE = {
    400: ("Media download error", "the media of the sender cannot be fetched"),
    401: ("Group does not exist", "there is no such group"),
    402: (
        "Business eligibility \N{EM DASH} payment issue",
        "the business account has no valid means of payment",
    ),
    408: ("Message is not valid", "the message was pending for too long, send it again"),
    410: ("Message expired", "the message was not sent within its time to live"),
    429: ("Rate limit hit", "too many messages in a short time"),
    430: ("Unsigned certificate", "get a new certificate and register the number again"),
    432: ("Certificate ID mismatch", "get a new certificate and register the number again"),
    433: ("Certificate signature invalid", "get a new certificate and register the number again"),
    470: (
        "Re-engagement message",
        "the customer has not written within 24 hours: only a template may be sent",
    ),
    471: ("Spam rate limit hit", "too many messages for the quality or the tier of this number"),
    472: ("User's number is part of an experiment", "the message is not delivered on purpose"),
    480: ("User potentially changed", "the customer's identity changed and is not acknowledged"),
    500: ("Generic error", "unknown failure"),
    501: ("Unsupported message type", "Message type is not currently supported"),
    1000: ("Generic error", "unknown failure"),
    1005: ("Access denied", "this number may not do that"),
    1006: ("Resource not found", "there is no such resource"),
    1007: ("Recipient blocked to receive message", "the recipient takes none of this number"),
    1008: ("Required parameter is missing", "the upstream misses a parameter"),
    1009: ("Parameter value is not valid", "the upstream refused a parameter"),
    1011: ("Service not ready", "the upstream was not ready for a day"),
    1012: ("Group is unknown", "there is no such group"),
    1013: ("User is not valid", "the recipient is not a WhatsApp user"),
    1014: ("Internal error", "the upstream failed"),
    1015: ("Too many requests", "the upstream refused more requests of this kind"),
    1026: ("Receiver Incapable", "the recipient's app cannot show this message"),
    1031: ("Account locked", "the account is locked for a violation of the policy"),
    2000: ("Number of parameters does not match", "the template has another number of parameters"),
    2001: ("Template does not exist", "there is no approved template of this name"),
    2002: ("Receiver could not load the template", "the recipient's app did not get the template"),
    2003: ("Template does not exist", "there is a problem with the template"),
    2004: ("Parameter count mismatch", "the recipient's app expects other parameters"),
    2005: ("Text too long", "the text is too long once the parameters are filled in"),
    2006: ("White-space policy violated", "a parameter has white space that is not allowed"),
    2007: ("Character policy violated", "a parameter has characters that are not allowed"),
    2008: ("Media format unsupported", "the media of the header has another format"),
    2009: ("Required component missing", "a component of the template is missing"),
    2010: ("URL button invalid", "the URL of a button is not valid"),
    2011: ("Phone-number button invalid", "the number of a button is not valid"),
    2012: ("Parameter format mismatch", "a parameter has another format than the template's"),
    2013: ("Buttons unsupported by receiver", "the recipient's app shows no buttons"),
    2040: ("List unsupported by receiver", "the recipient's app shows no lists"),
    2061: ("Template paused", "the template is paused for its low quality"),
    2062: ("Template disabled", "the template is disabled for its low quality"),
}
CODES = tuple(_TABLE)
TEMPLATE_CODES = tuple(code for code in _TABLE if code >= 2000)


def title(code: int) -> str:
    """The title of a code; that of 500 for an unknown one."""
    return _TABLE.get(code, _TABLE[500])[0]


def details(code: int) -> str:
    """The default details of a code."""
    return _TABLE.get(code, _TABLE[500])[1]


def href(code: int) -> str:
    """Where causes and remedies of a code are."""
    return f"{PAGE}#{code}"


def error_object(code: int, own_title: str = "", own_details: str = "") -> dict[str, Any]:
    """The element of ``errors[]`` in a status, with every key."""
    return {
        "code": code,
        "title": own_title or title(code),
        "details": own_details or details(code),
        "href": href(code),
    }
