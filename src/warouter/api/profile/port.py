"""Where the profile of a number is kept: here, or where customers see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from warouter.store.account.photo import Photo


class ProfileStore(Protocol):
    """The place of the profile. Values have passed v1's limits; absent fields of v1 are not set.

    Every call raises an ApiError, or the store's errors.
    """

    async def profile(self) -> dict[str, Any]:
        """Fields of ``BusinessProfile``."""

    async def change_profile(self, given: Mapping[str, Any]) -> None:
        """Change these fields; an empty value clears one."""

    async def compliance(self) -> dict[str, Any]:
        """Fields of ``ComplianceInfo``."""

    async def change_compliance(self, given: Mapping[str, Any]) -> None: ...

    async def about(self) -> dict[str, Any]:
        """Fields of ``About``."""

    async def change_about(self, text: str) -> None: ...

    async def photo(self) -> Photo | None: ...

    async def photo_link(self) -> str | None:
        """The photo's URL, "" if that is this API's own, None without a photo."""

    async def set_photo(self, photo: Photo) -> None: ...

    async def delete_photo(self) -> None:
        """Delete the photo, if there is one."""
