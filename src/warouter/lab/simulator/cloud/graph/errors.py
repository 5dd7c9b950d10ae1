"""Errors of the Graph API: codes, HTTP statuses and titles, and the form of the answer. Pure.

The codes are Meta's. What the simulated WhatsApp refuses has a code of the v1 API below the doors;
here each gets the Cloud API's code of equal meaning.
"""

from __future__ import annotations

from typing import Any

import msgspec

PARAMETER = 100
TOKEN = 190
RATE = 130429
PAIR = 131056
UNDELIVERABLE = 131026
HELD_BACK = 132015

# code -> HTTP status, title, details.
_TABLE = {
    0: (401, "AuthException", "The app user cannot be authenticated."),
    1: (400, "API Unknown", "Invalid request or possible server error."),
    2: (503, "API Service", "Temporary due to downtime or due to being overloaded."),
    3: (500, "API Method", "Capability or permissions issue."),
    4: (400, "API Too Many Calls", "The app has reached its API call rate limit."),
    10: (403, "Permission Denied", "Permission is either not granted or has been removed."),
    33: (400, "Parameter value is not valid", "The phone number was deleted."),
    100: (400, "Invalid parameter", "The request included one or more unsupported parameters."),
    190: (401, "Invalid OAuth access token", "The access token expired or was revoked."),
    200: (403, "API Permission", "Permission is either not granted or has been removed."),
    368: (403, "Temporarily blocked for policies violations", "The account was restricted."),
    80007: (400, "Rate limit issues", "The account has reached its rate limit."),
    130429: (429, "Rate limit hit", "Cloud API message throughput has been reached."),
    130472: (400, "User's number is part of an experiment", "Message was not sent."),
    130497: (403, "Business account is restricted", "The country is not allowed."),
    131000: (500, "Something went wrong", "Message failed to send due to an unknown error."),
    131005: (403, "Access denied", "Permission is either not granted or has been removed."),
    131008: (400, "Required parameter is missing", "The request misses a required parameter."),
    131009: (400, "Parameter value is not valid", "One or more parameter values are invalid."),
    131016: (500, "Service unavailable", "A service is temporarily unavailable."),
    131021: (400, "Recipient cannot be sender", "Sender and recipient number are the same."),
    131026: (400, "Message undeliverable", "Message Undeliverable."),
    131030: (400, "Recipient not in allowed list", "The number is not allowed to be messaged."),
    131031: (403, "Account has been locked", "The account violates a policy."),
    131037: (400, "Display name not approved", "The number needs display name approval."),
    131042: (400, "Business eligibility payment issue", "There was a payment method issue."),
    131045: (500, "Incorrect certificate", "The number has no valid registration."),
    131047: (400, "Re-engagement message", "More than 24 hours since the customer last replied."),
    131048: (400, "Spam rate limit hit", "Too many messages were blocked or flagged as spam."),
    131049: (400, "Meta chose not to deliver", "Kept back for healthy ecosystem engagement."),
    131050: (400, "User stopped marketing", "The user stopped marketing messages."),
    131051: (400, "Unsupported message type", "Unsupported message type."),
    131053: (400, "Media upload error", "Unable to upload the media used in the message."),
    131055: (400, "Method not allowed", "The API does not support this message."),
    131056: (400, "Pair rate limit hit", "Too many messages to the same recipient."),
    131057: (500, "Account in maintenance mode", "The number is in maintenance mode."),
    131062: (400, "Type not allowed to a user id", "The template needs a phone number."),
    131063: (400, "Marketing templates switched off", "Marketing goes by another endpoint."),
    131064: (400, "Template misuse", "The account is limited for template misuse."),
    132000: (400, "Template param count mismatch", "The number of parameters does not match."),
    132001: (404, "Template does not exist", "The template does not exist in the language."),
    132005: (400, "Template hydrated text too long", "The translated text is too long."),
    132007: (400, "Template format policy violated", "Template content violates a policy."),
    132012: (400, "Template parameter format mismatch", "Parameters are formatted otherwise."),
    132015: (400, "Template is paused", "The template is paused due to low quality."),
    132016: (400, "Template is disabled", "The template is disabled due to low quality."),
    132018: (400, "Template parameter invalid", "A parameter of the template is not valid."),
    132068: (400, "Flow is blocked", "The flow is blocked."),
    132069: (400, "Flow is throttled", "The flow is throttled."),
    133004: (503, "Server temporarily unavailable", "Server is temporarily unavailable."),
    133005: (400, "Two step verification PIN mismatch", "The PIN is incorrect."),
    133006: (400, "Phone number re-verification needed", "The number must be verified."),
    133008: (400, "Too many two step PIN guesses", "Too many wrong PINs."),
    133010: (400, "Phone number not registered", "The number is not registered."),
    133016: (400, "Registration attempts exceeded", "Too many attempts for this number."),
    134011: (400, "Payment terms not accepted", "The terms of payments are not accepted."),
    134100: (400, "Only marketing messages", "Only marketing messages are allowed here."),
    135000: (400, "Generic user error", "The request has an unknown error."),
    136025: (400, "Code verification failed", "The code is wrong or has expired."),
    137000: (400, "Recipient identity hash mismatch", "The hash does not match."),
}
_ANY = (400, "Unknown error", "An error that this emulator has no words for.")

CODES_OF_V1 = {
    402: 131042,
    430: 131045,
    470: 131047,
    471: 131048,
    472: 130472,
    480: 137000,
    1007: 131030,
    1013: 131026,
    1026: 131026,
    1031: 131031,
    2000: 132000,
    2001: 132001,
    2003: 132001,
    2004: 132000,
    2005: 132005,
    2006: 132007,
    2007: 132007,
    2008: 131053,
    2009: 131008,
    2013: 131051,
    2040: 131051,
    2061: 132015,
    2062: 132016,
}
# Meta takes these messages, and says in a status that they failed.
LATE = frozenset({130472, 131026, 131047, 131049})


class GraphError(Exception):
    """A call is refused: ``code`` is Meta's, ``details`` its reason."""

    def __init__(self, code: int, details: str = "") -> None:
        super().__init__(details or _TABLE.get(code, _ANY)[2])
        self.code = code
        self.details = str(self)


def from_v1(code: int) -> int:
    """Meta's code for one of the v1 API with which the simulated WhatsApp refuses a message."""
    return CODES_OF_V1.get(code, 132012 if code >= 2000 else 131000)


def status_of(code: int) -> int:
    """The HTTP status of an error; 400 for a code that is not listed."""
    return _TABLE.get(code, _ANY)[0]


def answer(code: int, details: str, trace: str) -> bytes:
    """The body of a refusal; ``trace`` is its fbtrace_id."""
    _, title, usual = _TABLE.get(code, _ANY)
    error: dict[str, Any] = {
        "message": f"(#{code}) {title}",
        "type": "OAuthException",
        "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": details or usual},
        "fbtrace_id": trace,
    }
    return msgspec.json.encode({"error": error})


def element(code: int, details: str = "") -> dict[str, Any]:
    """The element of ``errors[]`` in a webhook."""
    _, title, usual = _TABLE.get(code, _ANY)
    return {
        "code": code,
        "title": title,
        "message": title,
        "error_data": {"details": details or usual},
        "href": "/documentation/business-messaging/whatsapp/support/error-codes/",
    }
