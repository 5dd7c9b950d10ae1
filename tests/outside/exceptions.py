"""What the witnesses do not know, with the reason: each must still be needed. No other may be."""

from __future__ import annotations

_NO_TYPE = "its union of inbound messages has no such type"
_BY_CONTACT = "takes the customer from contacts[0], which Meta leaves out here"
_NUMBER_NEEDED = (
    "users without a number are not foreseen: from, wa_id and recipient_id are required"
)
_ONE_SYSTEM = "knows user_changed_number alone of the system messages"

UNREAD: dict[tuple[str, str], str] = {
    ("read_pywa", "ephemeral"): "its MessageType has no ephemeral, which becomes unknown",
    ("read_pywa", "new identity"): "wants contacts[0], and the hash in messages[].identity",
    ("read_pywa", "error"): "a value with nothing but errors is an 'unrecognized shape'",
    ("read_pywa", "played"): _BY_CONTACT,
    ("read_pywa", "failed"): _BY_CONTACT,
    ("read_pywa", "failed without reference"): _BY_CONTACT,
    (
        "read_pywa",
        "delivered without contacts",
    ): "takes the customer from contacts[0], since 2026-04",
    ("read_models", "nfm_reply"): "its InteractiveReplyType has no nfm_reply",
    ("read_models", "ephemeral"): _NO_TYPE,
    ("read_models", "edit"): _NO_TYPE,
    ("read_models", "revoke"): _NO_TYPE,
    ("read_models", "request_welcome"): _NO_TYPE,
    ("read_models", "text without a number"): _NUMBER_NEEDED,
    ("read_models", "delivered to a user without a number"): _NUMBER_NEEDED,
    ("read_models", "new identity"): _ONE_SYSTEM,
    ("read_models", "new user id"): _ONE_SYSTEM,
    ("read_models", "account_update"): "its ChangeField has no account_update",
    ("read_models", "played"): "its DeliveryStatus has no played",
}
"""Webhooks of the Cloud door, by witness and case of ``cases.py``."""

BLIND: dict[str, dict[str, str]] = {
    "read_models": {"reference": "its MessageStatus has no biz_opaque_callback_data"},
}
"""Parts of facts that a witness has no place for, whatever the case."""

UNWRITTEN: dict[tuple[str, str], str] = {
    (
        "write_kapso",
        "typing",
    ): "sends typing_indicator as a boolean; Meta wants an object with a type",
}
"""Requests of clients that the door refuses, as Meta does, by witness and verb."""

_NO_ACTION = "its union of interactive messages has no such type"
UNSENT: dict[tuple[str, str], str] = {
    ("models", "text to a user without a number"): "wants `to`, and has no `recipient`",
    ("openapi", "text to a user without a number"): "wants `to`, and has no `recipient`",
    ("models", "catalog"): _NO_ACTION,
    ("models", "address"): _NO_ACTION,
    ("models", "order status"): _NO_ACTION,
    ("models", "template with a coupon"): "its buttons of templates have no copy_code",
    ("models", "carousel"): "its components of templates have no carousel",
    ("openapi", "contacts with a mobile number"): "only HOME and WORK; Meta's pages name others",
    ("openapi", "template with a coupon"): "its buttons of templates have no copy_code",
    ("openapi", "carousel"): "its components of templates have no carousel",
}
"""Bodies that warouter sends and a voter refuses, by voter and name of ``bodies.py``."""

_CONTEXT = "its context is that of a question about a product, which it requires"
_OLDER = "the file is older, and its union has no such type"
_NO_NUMBER = "users without a number are not foreseen: from and recipient_id are required"
_SYSTEM = "of system messages it has user_changed_number alone"
UNLIKE: dict[str, str] = {
    "text that quotes": _CONTEXT,
    "text that was forwarded": _CONTEXT,
    "nfm_reply": "its replies have no nfm_reply",
    "unsupported": "wants a `type` in each error, which its own example has not",
    "reaction that was taken back": "wants an emoji, which Meta's page leaves out then",
    "ephemeral": _OLDER,
    "edit": _OLDER,
    "revoke": _OLDER,
    "request_welcome": _OLDER,
    "text without a number": _NO_NUMBER,
    "delivered to a user without a number": _NO_NUMBER,
    "new identity": _SYSTEM,
    "new user id": _SYSTEM,
    "error": "a value must have messages or statuses",
    "account_update": "its fields are messages and those of groups",
    "played": "its statuses have no played",
}
"""Webhooks of the Cloud door that Meta's file has another form for, by case of ``cases.py``."""

OF_META: dict[str, str] = {
    "Send Catalog Template Message": "its button is a CATALOG, in the schema a catalog",
    "Send Flow Template Message": "its button is of a sub_type that the schema lacks",
    "Send Multi-Product Message": "a placeholder stands for the type of its header",
    "Contact Sharing Message": "a phone of the type MOBILE; the schema has HOME and WORK",
    "Unsupported Message": "the schema wants a `type` in each error",
    "Group Create Message": "a time in a string, numbers of participants as integers",
    "Group Settings Update": "a time in a string",
    "Group Remove Participants": "the same, and its field is group_participants_update",
}
"""Examples of Meta's file that its own schema refuses after the repair: the file's mistakes."""

UNTAKEN: dict[str, str] = {
    "Send Reply to List Message": "without a type it is a text, and it has none",
}
"""Messages of Meta's file that the door refuses."""

UNPASSED: dict[str, str] = {
    "Send Multi-Product Message": "a placeholder stands for the type of its header",
    "Send Sample Issue Resolution Template": "its texts Yes and No are true and false in YAML",
}
"""Messages of Meta's file that v1 refuses, or changes."""
