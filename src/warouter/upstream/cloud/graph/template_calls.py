"""The message templates of the account: read whole, made and deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from warouter.cloud_settings import CloudSettings
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.failed import CallFailed
from warouter.upstream.cloud.graph.fields import text

_FIELDS = "name,language,status,category,components,rejected_reason,id"
_PAGE = "100"
_NAMESPACE = "message_template_namespace"


class TemplateCalls:
    """Calls about the templates of one account. Each raises CallAway or CallRefused."""

    def __init__(self, cloud: CloudSettings, calls: Calls) -> None:
        self._account = cloud.waba_id
        self._calls = calls

    def all(self) -> AsyncIterator[dict[str, Any]]:
        """All of them, page by page."""
        return self._calls.listed(self._edge, {"fields": _FIELDS, "limit": _PAGE})

    async def namespace(self) -> str:
        """The namespace of the account's templates, "" if Meta refuses to tell it."""
        try:
            return text(await self._calls.get(self._account, {"fields": _NAMESPACE}), _NAMESPACE)
        except CallFailed as error:
            if not error.by_request:
                raise
            return ""

    async def make(self, template: Mapping[str, Any]) -> dict[str, Any]:
        """Make a template; its id, status and category, as Meta says."""
        return await self._calls.post(self._edge, template)

    async def delete(self, name: str) -> None:
        """Delete the templates of this name, in all languages."""
        await self._calls.delete(self._edge, {"name": name})

    @property
    def _edge(self) -> str:
        return f"{self._account}/message_templates"
