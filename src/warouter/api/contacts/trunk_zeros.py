"""Reads telephone numbers with a trunk zero, by the plans of ``phonenumbers``. Pure.

Few numbers have one, and the plans take a webapp's start long to load: ``numbers`` does for those.
"""

from __future__ import annotations

import phonenumbers

_CODES = frozenset(map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE))


def without_trunk_zero(digits: str) -> str:
    """An international number without the zero that some write after its country code."""
    code = next((digits[:n] for n in (1, 2, 3) if digits[:n] in _CODES), "")
    rest = digits[len(code) :]
    if not code or not rest.startswith("0"):
        return digits
    parsed = _parsed(f"+{digits}", None)
    if parsed is None or not _possible(parsed):
        return digits
    # Italy's zero belongs to the number and stays; another one does not.
    national = phonenumbers.national_significant_number(parsed)
    return code + national if national == rest.lstrip("0") else digits


def international(digits: str, country_code: str) -> str | None:
    """The international number of a national one; None if it is none of that country."""
    region = phonenumbers.region_code_for_country_code(int(country_code))
    parsed = _parsed(digits, region) if region else None
    if parsed is None or not _possible(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)[1:]


def _possible(parsed: phonenumbers.PhoneNumber) -> bool:
    """True if the length fits numbers of the country, area code included."""
    found = phonenumbers.is_possible_number_with_reason(parsed)
    return bool(found == phonenumbers.ValidationResult.IS_POSSIBLE)


def _parsed(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
