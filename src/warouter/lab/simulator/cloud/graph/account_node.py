"""The node of the account (WABA): its number, its templates, who is told.

Handlers as in ``number_node``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.graph.errors import PARAMETER, GraphError
from warouter.lab.simulator.cloud.graph.number_node import SUCCESS, Given, NumberNode
from warouter.lab.simulator.cloud.templates import MessageTemplate, Templates

_PAGE = 25
_MOST = 6000  # templates of a verified business
_NAME = re.compile(r"[a-z0-9_]{1,512}")
_NAMESPACE = "ba30dd89_2ebd_41e4_b805_f2c05ae04cc9"
_CATEGORIES = ("AUTHENTICATION", "MARKETING", "UTILITY")


class AccountNode:
    """The account's state; the app is subscribed from the beginning."""

    def __init__(
        self,
        facts: CloudFacts,
        number: NumberNode,
        templates: Templates,
        switches: Callable[[], CloudFaults],
    ) -> None:
        self._facts = facts
        self._number = number
        self._templates = templates
        self._switches = switches
        self.base = ""  # the URL of the Graph API
        self.subscribed = True

    def fields(self, given: Given) -> Given:
        """GET of the node; clients ask for more than it says, and miss these."""
        named = {"id": self._facts.waba_id, "name": self._facts.name, "currency": "USD"}
        named |= {"marketing_messages_onboarding_status": self._switches().marketing}
        return named | {"timezone_id": "1", "message_template_namespace": _NAMESPACE}

    def phone_numbers(self, given: Given) -> Given:
        foreign = self._switches().foreign_number
        return {"data": [] if foreign else [self._number.fields({})]}

    def apps(self, given: Given) -> Given:
        data = {"id": self._facts.app_id, "name": self._facts.name}
        app: Given = {"whatsapp_business_api_data": data}
        if override := self._number.callbacks.account:
            app["override_callback_uri"] = override
        return {"data": [app] if self.subscribed else []}

    def unsubscribe(self, given: Given) -> Given:
        self.subscribed, self._number.callbacks.account = False, ""
        return SUCCESS

    def templates(self, given: Given) -> Given:
        """One page; ``limit`` and ``after`` as usual, ``fields``, ``name``, ``category``, and
        ``summary`` with the names of what is counted.
        """
        found = [t.shown() for t in self._templates.all(self._switches().categories)]
        whole = len(found)
        for name in ("name", "category", "status", "language"):
            if wanted := given.get(name):
                found = [t for t in found if str(t[name]).lower() == str(wanted).lower()]
        try:
            first, limit = int(given.get("after") or 0), int(given.get("limit") or _PAGE)
        except ValueError:
            raise GraphError(PARAMETER, "Param after or limit is not valid") from None
        page = found[first : first + limit]
        fields = [name for name in str(given.get("fields", "")).split(",") if name]
        if fields:
            page = [{k: v for k, v in t.items() if k in (*fields, "id")} for t in page]
        paging: Given = {"cursors": {"before": str(first), "after": str(first + len(page))}}
        if first + len(page) < len(found):
            path = f"v{self._switches().webhook_version}.0/{self._facts.waba_id}/message_templates"
            paging["next"] = f"{self.base}/{path}?limit={limit}&after={first + len(page)}"
        counted = _summary(given, total_count=len(found), message_template_count=whole)
        return {"data": page, "paging": paging} | counted

    def make_template(self, given: Given) -> Given:
        """A new template, approved at once."""
        name, category = given.get("name"), given.get("category")
        if not isinstance(name, str) or not name or category not in _CATEGORIES:
            raise GraphError(PARAMETER, "A template needs a name and a category.")
        if not _NAME.fullmatch(name):
            raise GraphError(PARAMETER, "A template's name has small letters, digits and _ only.")
        language, components = str(given.get("language", "en_US")), given.get("components", [])
        if not isinstance(components, list) or not all(isinstance(c, dict) for c in components):
            raise GraphError(PARAMETER, "Components must be a list of objects.")
        known = self._templates.all(self._switches().categories)
        if any((one.name, one.language) == (name, language) for one in known):
            raise GraphError(PARAMETER, "There is already content in this language.")
        template = MessageTemplate(name, str(category), language, components=tuple(components))
        self._templates.make(template)
        return {"id": template.id, "status": template.status, "category": category}

    def delete_template(self, given: Given) -> Given:
        """Delete the templates of a name, in all languages."""
        if not self._templates.delete(str(given.get("name", ""))):
            raise GraphError(PARAMETER, "Message Template Not Found")
        return SUCCESS


def _summary(given: Given, **counts: int) -> Given:
    """The counts that a list is asked for, if any."""
    asked = [name for name in str(given.get("summary", "")).split(",") if name]
    known = {**counts, "message_template_limit": _MOST, "are_translations_complete": True}
    if unknown := [name for name in asked if name not in known]:
        raise GraphError(PARAMETER, f"Tried accessing nonexisting summary ({unknown[0]})")
    return {"summary": {name: known[name] for name in asked}} if asked else {}


def parameters(query: dict[str, list[str]], body: bytes, kind: bytes) -> Given:
    """The parameters of a call: of the query, and of a body in JSON."""
    given: Given = {name: values[-1] for name, values in query.items()}
    if not body or b"json" not in kind:
        return given
    try:
        said: Any = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise GraphError(PARAMETER, f"the body is not JSON: {error}") from None
    if not isinstance(said, dict):
        raise GraphError(PARAMETER, "the body must be a JSON object")
    return given | said
