"""The business as customers see it: profile, compliance information, photo.

The photo goes by the Resumable Upload API, which belongs to the app, and not to the number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from warouter.cloud_number import NumberCloud
from warouter.upstream.cloud.graph.calls import Calls
from warouter.upstream.cloud.graph.failed import CallAway

_PRODUCT = {"messaging_product": "whatsapp"}
# An id of an upload is signed and has a query of its own: ``upload:MTph...?sig=ARZ...``.
_SESSION = re.compile(r"upload:(?!(?:.*/)?\.\.?(?:[/?]|$))[!-\"$-~]{1,4000}")
_ID = re.compile(r"[0-9]{1,40}")
_NAMES = {"image/jpeg": "photo.jpg", "image/png": "photo.png"}


class Profile:
    """Calls about the profile of a number. Each raises CallAway or CallRefused."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def fields(self, of: NumberCloud, *names: str) -> dict[str, Any]:
        """Read fields of the profile; those that are not set may be absent."""
        found = await self._calls.get(of, _profile(of), {"fields": ",".join(names)})
        return _first(found, "business_profile")

    async def change(self, of: NumberCloud, fields: Mapping[str, Any]) -> None:
        """Change these fields, and no others."""
        await self._calls.post(of, _profile(of), {**_PRODUCT, **fields})

    async def compliance(self, of: NumberCloud, *names: str) -> dict[str, Any]:
        """Read fields of the compliance information; null or absent if they are not set."""
        return _first(await self._calls.get(of, _compliance(of), {"fields": ",".join(names)}))

    async def change_compliance(self, of: NumberCloud, fields: Mapping[str, Any]) -> None:
        """Replace the compliance information."""
        await self._calls.post(of, _compliance(of), {**_PRODUCT, **fields})

    async def app(self, of: NumberCloud) -> str:
        """The id of the token's app, to which uploads belong."""
        return _fit((await self._calls.get(of, "app", {"fields": "id"})).get("id"), _ID)

    async def upload(self, of: NumberCloud, app: str, content: bytes, mime: str) -> str:
        """Upload an image; returns the handle by which ``profile_picture_handle`` names it."""
        asked = {"file_length": str(len(content)), "file_type": mime, "file_name": _NAMES[mime]}
        begun = await self._calls.post(of, f"{app}/uploads", {}, asked)
        done = await self._calls.upload(of, _fit(begun.get("id"), _SESSION), content)
        handle = done.get("h")
        if not isinstance(handle, str) or not handle:
            raise CallAway("the Graph API gave the uploaded photo no handle")
        return handle


def _profile(of: NumberCloud) -> str:
    return f"{of.phone_number_id}/whatsapp_business_profile"


def _compliance(of: NumberCloud) -> str:
    return f"{of.phone_number_id}/business_compliance_info"


def _first(found: dict[str, Any], inner: str = "") -> dict[str, Any]:
    """The object in ``data``. Meta's OpenAPI document has that of the profile one level further in
    than Meta's pages do.
    """
    data = found.get("data")
    first = data[0] if isinstance(data, list) and data else {}
    if isinstance(first, dict) and isinstance(first.get(inner), dict):
        first = first[inner]
    return first if isinstance(first, dict) else {}


def _fit(id: Any, form: re.Pattern[str]) -> str:
    """An id that becomes part of a path; CallAway if it could name something else."""
    if not isinstance(id, str) or not form.fullmatch(id):
        raise CallAway("the Graph API gave the upload no id that can be used")
    return id
