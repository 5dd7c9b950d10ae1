"""Finds the wa_id for a number as people write it, for POST /v1/contacts. Pure.

Digits are taken as an international number, whatever stands between them. ``phonenumbers`` is asked
for what the frozen rule of ``recipient.py`` does not read: a trunk zero after the country code,
"+49 (0)171 1234567", and a national number with its own trunk zero, "0171 1234567". It is asked for
nothing else: where WhatsApp writes a number otherwise than the telephone does (Mexico, Brazil), its
own digits stay. What comes out is a wa_id that the frozen rule leaves as it is.
"""

from __future__ import annotations

import unicodedata

from warouter.recipient import wa_id

# Besides these: every kind of dash and space that Unicode has.
_BETWEEN = frozenset("()[]./\N{FULLWIDTH LEFT PARENTHESIS}\N{FULLWIDTH RIGHT PARENTHESIS}")
_WIDE_PLUS = "\N{FULLWIDTH PLUS SIGN}"
_KINDS_BETWEEN = frozenset(("Pd", "Zs"))
_LONGEST = 64  # characters; no spelling of 15 digits needs more


def read(spelling: str, country_code: str | None = None) -> str | None:
    """The wa_id of a number, or None if it is not one.

    ``country_code`` (of the registered number) is needed for national spellings only.
    """
    text = _plain(spelling)
    digits = _digits(text)
    if digits is None:
        return None
    international = digits.removeprefix("00")
    if international != digits or text.startswith(("+", _WIDE_PLUS)) or not digits.startswith("0"):
        return _checked(_without_trunk_zero(international))
    return _checked(_international(digits, country_code)) if country_code else None


def is_national(spelling: str) -> bool:
    """True if ``read`` needs the country to read the number."""
    digits = _digits(_plain(spelling))
    return digits is not None and digits[:1] == "0" and digits[:2] != "00"


def _plain(spelling: str) -> str:
    """The number without text around it, and without the invisible marks of telephones."""
    text = spelling.strip(" ")[: _LONGEST + 1]
    if not text.isascii():
        text = "".join(char for char in text if unicodedata.category(char) != "Cf")
    return text.removeprefix("tel:")


def _digits(text: str) -> str | None:
    """Digits of any script in ASCII; None if other characters than those of numbers occur."""
    if len(text) > _LONGEST:
        return None
    if text.isascii() and text.isdigit():
        return text
    found = []
    for char in text.removeprefix("+").removeprefix(_WIDE_PLUS):
        if char.isdecimal():
            found.append(str(unicodedata.decimal(char)))
        elif char not in _BETWEEN and unicodedata.category(char) not in _KINDS_BETWEEN:
            return None
    return "".join(found)


def _without_trunk_zero(digits: str) -> str:
    if "0" not in digits[1:4]:  # no country's code is longer
        return digits
    from warouter.api.contacts import trunk_zeros  # loads the plans of all countries

    return trunk_zeros.without_trunk_zero(digits)


def _international(digits: str, country_code: str) -> str:
    from warouter.api.contacts import trunk_zeros

    return trunk_zeros.international(digits, country_code) or ""


def _checked(digits: str) -> str | None:
    try:
        return wa_id(digits)
    except ValueError:
        return None
