"""The message templates of the account: read whole, made and deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from warouter.cloud_number import NumberCloud
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.failed import CallFailed
from warouter.upstream.cloud.graph.fields import text

_FIELDS = "name,language,status,category,components,rejected_reason,id"
_PAGE = "100"
_NAMESPACE = "message_template_namespace"


class TemplateCalls:
    """Calls about the templates of a number's account. Each raises CallAway or CallRefused."""

    def __init__(self, of: NumberCloud, calls: Calls) -> None:
        self._of = of
        self._calls = calls

    def all(self) -> AsyncIterator[dict[str, Any]]:
        """All of them, page by page."""
        return self._calls.listed(self._of, self._edge, {"fields": _FIELDS, "limit": _PAGE})

    async def namespace(self) -> str:
        """The namespace of the account's templates, "" if Meta refuses to tell it."""
        try:
            found = await self._calls.get(self._of, self._of.waba_id, {"fields": _NAMESPACE})
            return text(found, _NAMESPACE)
        except CallFailed as error:
            if not error.by_request:
                raise
            return ""

    async def make(self, template: Mapping[str, Any]) -> dict[str, Any]:
        """Make a template; its id, status and category, as Meta says."""
        return await self._calls.post(self._of, self._edge, template)

    async def delete(self, name: str) -> None:
        """Delete the templates of this name, in all languages."""
        await self._calls.delete(self._of, self._edge, {"name": name})

    @property
    def _edge(self) -> str:
        return f"{self._of.waba_id}/message_templates"
