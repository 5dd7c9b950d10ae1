"""The compliance information of a number, which India requires of businesses.

Handlers as in ``number_node``. The rules are those of ``BusinessComplianceInfoUpdateRequest`` in
Meta's OpenAPI document (v23.0), and of Meta's page on the edge.
"""

from __future__ import annotations

from typing import Any

from warouter.lab.simulator.cloud.graph.errors import PARAMETER, GraphError
from warouter.lab.simulator.cloud.graph.number_node import SUCCESS, Given

_TYPES = (
    *("LIMITED_LIABILITY_PARTNERSHIP", "SOLE_PROPRIETORSHIP", "PARTNERSHIP"),
    *("PUBLIC_COMPANY", "PRIVATE_COMPANY", "OTHER"),
)
_MAY_BE_UNREGISTERED = ("OTHER", "PARTNERSHIP")
_NUMBERS = {"mobile_number": 20, "landline_number": 20}
_CUSTOMER_CARE = {"email": 128, **_NUMBERS}
_OFFICER = {"name": 128, "email": 128, **_NUMBERS}
_DETAILS = {
    "grievance_officer_details": (_OFFICER, ("name", "email")),
    "customer_care_details": (_CUSTOMER_CARE, ("email",)),
}
_TEXTS = {"entity_name": 128, "entity_type": 64, "entity_type_custom": 1024}
_FIELDS = ("messaging_product", *_TEXTS, "is_registered", *_DETAILS)
_REQUIRED = ("entity_name", "entity_type", *_DETAILS)


class ComplianceEdge:
    """The edge ``business_compliance_info``: it is replaced as a whole."""

    def __init__(self) -> None:
        self._info: Given = {}

    def fields(self, given: Given) -> Given:
        """The fields that are asked for; one that is not set is null."""
        asked = [name for name in str(given.get("fields", "")).split(",") if name]
        if unknown := [name for name in asked if name not in _FIELDS]:
            raise GraphError(PARAMETER, f"Tried accessing nonexisting field ({unknown[0]})")
        known = {name: self._info.get(name) for name in _FIELDS}
        known |= {"messaging_product": "whatsapp", "is_registered": bool(known["is_registered"])}
        if known["entity_type"]:  # as the example of Meta's page shows it
            known["entity_type"] = known["entity_type"].replace("_", " ").title()
        return {"data": [{name: known[name] for name in asked or _FIELDS}]}

    def change(self, given: Given) -> Given:
        if given.get("messaging_product") != "whatsapp":
            raise GraphError(PARAMETER, "The parameter messaging_product is required.")
        if missing := [name for name in _REQUIRED if not given.get(name)]:
            raise GraphError(PARAMETER, f"The parameter {missing[0]} is required.")
        _check_texts(given, _TEXTS, "")
        _check_entity(given)
        for name, (texts, required) in _DETAILS.items():
            _check_details(name, given[name], texts, required)
        if unknown := [name for name in given if name not in _FIELDS]:
            raise GraphError(PARAMETER, f"Unexpected parameter {unknown[0]}")
        self._info = dict(given)
        return SUCCESS


def _check_entity(given: Given) -> None:
    kind = given["entity_type"]
    if kind not in _TYPES:
        raise GraphError(PARAMETER, f"Param entity_type must be one of {{{', '.join(_TYPES)}}}")
    if kind == "OTHER" and not given.get("entity_type_custom"):
        raise GraphError(PARAMETER, "The parameter entity_type_custom is required.")
    registered = given.get("is_registered")
    if registered is not None and not isinstance(registered, bool):
        raise GraphError(PARAMETER, "Param is_registered must be a boolean.")
    if (registered is None) == (kind in _MAY_BE_UNREGISTERED):
        raise GraphError(
            PARAMETER,
            "Param is_registered is for the entity types {OTHER, PARTNERSHIP}, which require it.",
        )


def _check_details(
    name: str, details: Any, texts: dict[str, int], required: tuple[str, ...]
) -> None:
    if not isinstance(details, dict):
        raise GraphError(PARAMETER, f"Param {name} must be an object.")
    if missing := [key for key in required if not details.get(key)]:
        raise GraphError(PARAMETER, f"The parameter {name}[{missing[0]}] is required.")
    if unknown := [key for key in details if key not in texts]:
        raise GraphError(PARAMETER, f"Unexpected parameter {name}[{unknown[0]}]")
    _check_texts(details, texts, name)


def _check_texts(fields: Given, texts: dict[str, int], path: str) -> None:
    for name, most in texts.items():
        value = fields.get(name)
        if value is not None and (not isinstance(value, str) or len(value) > most):
            where = f"{path}[{name}]" if path else name
            raise GraphError(PARAMETER, f"Param {where} must be at most {most} characters long.")
