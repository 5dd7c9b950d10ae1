"""Turns a message of the deprecated type ``hsm`` into one of type ``template``. Pure.

``element_name`` is the template's name, ``localizable_params`` are the parameters of its text.
"""

from __future__ import annotations

from typing import Any

import msgspec

from warouter.errors import ParameterInvalid

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def as_template(body: bytes) -> bytes:
    """The JSON of a valid message of type ``hsm`` as one of type ``template``.

    All other fields are those of ``body``, byte for byte. ParameterInvalid if its ``hsm`` holds, in
    a place where nobody looked, a number that is none of this world.
    """
    message: dict[str, Any] = dict(_FIELDS.decode(body))
    try:
        hsm = msgspec.json.decode(message.pop("hsm"))
    except msgspec.ValidationError:
        raise ParameterInvalid("hsm contains a number that is out of range") from None
    message["type"] = "template"
    message["template"] = _template(hsm)
    return msgspec.json.encode(message)


def _template(hsm: dict[str, Any]) -> dict[str, Any]:
    template = {
        "namespace": hsm["namespace"],
        "name": hsm["element_name"],
        "language": hsm["language"],
    }
    parameters = [_parameter(one) for one in hsm.get("localizable_params") or ()]
    if parameters:
        template["components"] = [{"type": "body", "parameters": parameters}]
    return template


def _parameter(given: dict[str, Any]) -> dict[str, Any]:
    """A parameter's text, or a substitute for an amount or a time that cannot be shown."""
    default = given["default"]
    if currency := given.get("currency"):
        code = currency.get("currency_code") or currency.get("code")
        amount = currency.get("amount_1000")
        if code and amount is not None:
            shown = {"fallback_value": default, "code": code, "amount_1000": amount}
            return {"type": "currency", "currency": shown}
    moment = given.get("date_time")
    if isinstance(moment, dict) and moment:  # whatever else a client writes there shows no time
        return {"type": "date_time", "date_time": {"fallback_value": default, **moment}}
    return {"type": "text", "text": default}
