"""Lines of business: the texts of the On-Premises API, and the names of the Cloud API. Pure.

The texts are those that Meta listed for ``POST /v1/settings/business/profile``, the names those of
``WhatsAppBusinessVertical`` in Meta's OpenAPI document (v23.0), which has two lists: each lacks
some of the other. Names that never had a text in v1 are their own.
"""

from __future__ import annotations

UNDEFINED = "UNDEFINED"
_TEXTS = {
    "AUTO": "Automotive",
    "BEAUTY": "Beauty, Spa and Salon",
    "APPAREL": "Clothing and Apparel",
    "EDU": "Education",
    "ENTERTAIN": "Entertainment",
    "EVENT_PLAN": "Event Planning and Service",
    "FINANCE": "Finance and Banking",
    "GROCERY": "Food and Grocery",
    "GOVT": "Public Service",
    "HOTEL": "Hotel and Lodging",
    "HEALTH": "Medical and Health",
    "NONPROFIT": "Non-profit",
    "PROF_SERVICES": "Professional Services",
    "RETAIL": "Shopping and Retail",
    "TRAVEL": "Travel and Transportation",
    "RESTAURANT": "Restaurant",
    "NOT_A_BIZ": "Not a Business",
    "OTHER": "Other",
}
_WITHOUT_TEXT = ("ALCOHOL", "ONLINE_GAMBLING", "PHYSICAL_GAMBLING", "OTC_DRUGS")
NAMES = (*_TEXTS, *_WITHOUT_TEXT, UNDEFINED)
TEXTS = tuple(_TEXTS.values())


def name_of(text: str) -> str | None:
    """Meta's name of a text of v1, or of a name, in any case; "" of "", None if none fits."""
    return _NAMES.get(_plain(text))


def text_of(name: str) -> str:
    """The text of v1; "" where nothing was chosen, and a name that v1 has no text for as it is."""
    return "" if name == UNDEFINED else _TEXTS.get(name, name)


def _plain(text: str) -> str:
    """One of Meta's pages has a comma before the "and"."""
    return " ".join(text.casefold().replace(",", " ").split())


_NAMES = {
    "": "",
    **{_plain(text): name for name, text in _TEXTS.items()},
    **{_plain(name): name for name in NAMES},
}
