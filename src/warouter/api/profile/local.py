"""A number's profile in the database: what v1 sets is what v1 shows, and nobody else sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from warouter.api.profile.fields import About, BusinessProfile, ComplianceInfo
from warouter.api.profile.port import ProfileStore
from warouter.app_settings import BUSINESS_PROFILE, COMPLIANCE_INFO, PROFILE_ABOUT
from warouter.store.account.accounts import Accounts
from warouter.store.account.photo import Photo, Photos
from warouter.stored import usable


class LocalProfile(ProfileStore):
    """Three settings of the number, and the row of the photo."""

    def __init__(self, number: int, accounts: Accounts, photos: Photos) -> None:
        self._number = number
        self._accounts = accounts
        self._photos = photos

    async def profile(self) -> dict[str, Any]:
        return await self._stored(BUSINESS_PROFILE, BusinessProfile)

    async def change_profile(self, given: Mapping[str, Any]) -> None:
        await self._change(BUSINESS_PROFILE, given)

    async def compliance(self) -> dict[str, Any]:
        return await self._stored(COMPLIANCE_INFO, ComplianceInfo)

    async def change_compliance(self, given: Mapping[str, Any]) -> None:
        await self._change(COMPLIANCE_INFO, given)

    async def about(self) -> dict[str, Any]:
        return await self._stored(PROFILE_ABOUT, About)

    async def change_about(self, text: str) -> None:
        await self._change(PROFILE_ABOUT, {"text": text})

    async def photo(self) -> Photo | None:
        return await self._photos.get(self._number)

    async def photo_link(self) -> str | None:
        return "" if await self._photos.exists(self._number) else None

    async def set_photo(self, photo: Photo) -> None:
        await self._photos.set(self._number, photo)

    async def delete_photo(self) -> None:
        await self._photos.delete(self._number)

    async def _stored(self, name: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
        return usable(await self._accounts.setting(self._number, name), kind, {}).fields

    async def _change(self, name: str, given: Mapping[str, Any]) -> None:
        def changed(stored: Mapping[str, Any]) -> dict[str, Any]:
            return {**stored, **given}

        await self._accounts.change_setting(self._number, name, changed)
