"""The profile at Meta: customers see there what v1 sets, and v1 shows what is there.

Nothing of it is kept here: what is changed in Meta's own tools would be missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from warouter.api.graph_refusals import AGAIN_SECONDS, refusal, unanswered
from warouter.api.profile import verticals
from warouter.api.profile.fields import (
    PHOTO_BYTES,
    BusinessProfile,
    ComplianceInfo,
    image_type,
    present,
)
from warouter.api.profile.port import ProfileStore
from warouter.cloud_number import NumberCloud
from warouter.errors import MediaRefused, NotReady, ParameterInvalid
from warouter.media.fetch import Fetched, Fetcher, LinkFailed
from warouter.store.account.photo import Photo
from warouter.stored import usable
from warouter.upstream.cloud.graph.failed import CallFailed
from warouter.upstream.cloud.graph.profile_calls import Profile

_FIELDS = ("address", "description", "email", "vertical", "websites")
_COMPLIANCE = tuple(ComplianceInfo.__struct_fields__)
# Of ``entity_type``. Meta takes these, and shows them as "Private Company".
_ENTITY_TYPES = frozenset(
    {
        "LIMITED_LIABILITY_PARTNERSHIP",
        "SOLE_PROPRIETORSHIP",
        "PARTNERSHIP",
        "PUBLIC_COMPANY",
        "PRIVATE_COMPANY",
        "OTHER",
    }
)


class CloudProfile(ProfileStore):
    """That of number ``of``. ``fetcher`` is for the photo, which Meta names by a URL of any
    host.
    """

    def __init__(self, of: NumberCloud, calls: Profile, fetcher: Fetcher) -> None:
        self._of = of
        self._calls = calls
        self._fetcher = fetcher

    async def profile(self) -> dict[str, Any]:
        found = await self._read(*_FIELDS)
        shown = _usable(found, _FIELDS, BusinessProfile)
        if "vertical" in shown:
            shown["vertical"] = verticals.text_of(shown["vertical"])
        return shown

    async def change_profile(self, given: Mapping[str, Any]) -> None:
        fields = dict(given)
        if "vertical" in fields:
            fields["vertical"] = _vertical(fields["vertical"])
        if fields:
            await self._change(fields, "the profile")

    async def compliance(self) -> dict[str, Any]:
        try:
            found = await self._calls.compliance(self._of, *_COMPLIANCE)
        except CallFailed as error:
            raise unanswered(error) from None
        return _named(_usable(found, _COMPLIANCE, ComplianceInfo))

    async def change_compliance(self, given: Mapping[str, Any]) -> None:
        """Meta wants all of it each time, and says what is missing."""
        if not given:
            return
        try:
            await self._calls.change_compliance(self._of, _named(given))
        except CallFailed as error:
            raise refusal(error, "the compliance information") from None

    async def about(self) -> dict[str, Any]:
        text = (await self._read("about")).get("about")
        return {"text": text} if isinstance(text, str) else {}

    async def change_about(self, text: str) -> None:
        if not text:
            raise ParameterInvalid(
                "text must not be empty: the Cloud API can change the about text, not clear it"
            )
        await self._change({"about": text}, "text")

    async def photo(self) -> Photo | None:
        link = await self.photo_link()
        if link is None:
            return None
        try:
            async with self._fetcher.open(link) as fetched:
                data = await _whole(fetched)
        except (LinkFailed, MediaRefused) as error:
            raise _unfetched(str(error)) from None
        if (mime := _shown_type(data)) is None:
            raise _unfetched("it is neither JPEG, PNG nor WebP")
        return Photo(mime, data)

    async def photo_link(self) -> str | None:
        link = (await self._read("profile_picture_url")).get("profile_picture_url")
        return link if isinstance(link, str) and link else None

    async def set_photo(self, photo: Photo) -> None:
        try:
            app = await self._calls.app(self._of)
        except CallFailed as error:
            raise unanswered(error) from None
        try:
            handle = await self._calls.upload(self._of, app, photo.data, photo.mime)
        except CallFailed as error:
            raise refusal(error, "the photo") from None
        await self._change({"profile_picture_handle": handle}, "the photo")

    async def delete_photo(self) -> None:
        raise ParameterInvalid(
            "the Cloud API cannot delete the photo, only replace it: POST another one"
        )

    async def _read(self, *names: str) -> dict[str, Any]:
        try:
            return await self._calls.fields(self._of, *names)
        except CallFailed as error:
            raise unanswered(error) from None

    async def _change(self, fields: Mapping[str, Any], what: str) -> None:
        try:
            await self._calls.change(self._of, fields)
        except CallFailed as error:
            raise refusal(error, what) from None


def _vertical(text: str) -> str:
    name = verticals.name_of(text)
    if name is None:
        raise ParameterInvalid(
            f"vertical must be one of: {'; '.join(verticals.TEXTS)}; or a name of the Cloud API"
        )
    return name


def _usable(found: Mapping[str, Any], names: tuple[str, ...], kind: Any) -> dict[str, Any]:
    """The fields of these names as v1 has them: what Meta answers is not trusted to fit."""
    return present(usable({n: found[n] for n in names if n in found}, kind, {}).fields)


def _named(info: Mapping[str, Any]) -> dict[str, Any]:
    """The compliance information with the type as Meta takes it; any other text is left to Meta."""
    fields = dict(info)
    if isinstance(text := fields.get("entity_type"), str):
        name = "_".join(text.upper().split())
        fields["entity_type"] = name if name in _ENTITY_TYPES else text
    return fields


async def _whole(fetched: Fetched) -> bytes:
    """The content; MediaRefused if it is larger than a photo may be."""
    data = bytearray()
    async for chunk in fetched.chunks:
        data += chunk
        if len(data) > PHOTO_BYTES:
            raise MediaRefused(f"it is larger than {PHOTO_BYTES} bytes")
    return bytes(data)


def _shown_type(data: bytes) -> str | None:
    """The type of a picture by its bytes, so that nothing else leaves from our own address."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return image_type(data)


def _unfetched(why: str) -> NotReady:
    return NotReady(f"the photo cannot be fetched from Meta: {why}", retry_after=AGAIN_SECONDS)
