"""Types in the API's answers that handlers build by hand, one field a wire name.

Types only: they describe. The tests hold every answer they get against them.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from warouter.app_settings import ApplicationSettings

GatewayStatus = Literal["connected", "connecting", "disconnected", "uninitialized", "unregistered"]
NodeRole = Literal["primary_master", "secondary_master", "coreapp"]


# ---------------------------------------------------------------- the envelope


class Meta(msgspec.Struct):
    """`version` is the version of the API, not warouter's own."""

    api_status: Literal["stable", "deprecated", "experimental"]
    version: Annotated[str, msgspec.Meta(pattern=r"^v[0-9]+\.[0-9]+\.[0-9]+$")]
    warnings: list[str] | UnsetType = UNSET


class FailureMeta(Meta):
    """In 360dialog's dialect (WAROUTER_D360) also `success`, false, and `developer_message`."""

    success: Literal[False] | UnsetType = UNSET
    developer_message: str | UnsetType = UNSET


class Error(msgspec.Struct):
    """`code` and `title` are the product's; `details` says what was wrong with this request, and
    `href` leads to causes and remedies of the code.
    """

    code: int
    title: str
    details: Annotated[str, msgspec.Meta(min_length=1)]
    href: str


class ErrorAnswer(msgspec.Struct):
    """The body of every failure."""

    meta: FailureMeta
    errors: Annotated[list[Error], msgspec.Meta(min_length=1)]


# ---------------------------------------------------------------- users


class Token(msgspec.Struct):
    """A token; `expires_after` is in UTC, such as `2026-12-01 13:41:29+00:00`."""

    token: str
    expires_after: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00$")]


class UserName(msgspec.Struct):
    username: str


class UserShown(msgspec.Struct):
    username: str
    ROLES: Literal["ROLE_ADMIN", "ROLE_USER"]


# ---------------------------------------------------------------- messages


class MessageId(msgspec.Struct):
    id: str


# ---------------------------------------------------------------- settings and account


class ApplicationShown(ApplicationSettings, frozen=True, kw_only=True):
    """Settings of the application; `wa_id` is the own number once one is registered."""

    wa_id: str | UnsetType = UNSET


# ---------------------------------------------------------------- monitoring


class UpAnswer(msgspec.Struct):
    status: Literal["up"]


class NodeHealth(msgspec.Struct):
    """The state of a node; `errors` explains a node that does not answer."""

    role: NodeRole
    gateway_status: GatewayStatus
    errors: list[Error] | UnsetType = UNSET


class ClusterHealthAnswer(msgspec.Struct):
    """Nodes by name, `host:container`, with WA_APP_MULTICONNECT=1."""

    health: dict[str, NodeHealth]


class EntityTrouble(msgspec.Struct):
    """Why something may not send, by Meta's code and in its words; `solution` is its advice."""

    code: int
    description: str
    solution: str


class EntityHealth(msgspec.Struct):
    """One of the things that a message passes: the number, its account, the business, the app.

    `type` is PHONE_NUMBER, WABA, BUSINESS or APP, `can_send` AVAILABLE, LIMITED or BLOCKED; Meta
    may have newer words. `info` are its sentences about what is limited.
    """

    type: str
    id: str
    can_send: str
    errors: list[EntityTrouble]
    info: list[str]


class NumberHealth(msgspec.Struct):
    """The number in Meta's words; "" for what it left out.

    It was asked at `read_at` (UTC), at most a minute ago while the Cloud API answers; null if it
    is about to be asked.
    """

    status: str
    quality: str
    name_status: str
    throughput: str
    can_send: str
    entities: list[EntityHealth]
    read_at: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")] | None


class HealthMeta(Meta):
    """With the Cloud API also `number`, once Meta was asked."""

    number: NumberHealth | UnsetType = UNSET


class SingleHealth(msgspec.Struct):
    gateway_status: GatewayStatus


class SingleHealthAnswer(msgspec.Struct):
    """The state of the one node, without Multiconnect."""

    health: SingleHealth
