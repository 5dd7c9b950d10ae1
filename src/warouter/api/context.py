"""Everything that the handlers need from their process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import msgspec

from warouter.access.passwords import Passwords
from warouter.api.access.tokens import TokenCache
from warouter.api.access.waits import Waits
from warouter.api.configs.template_list import TemplateList
from warouter.api.contacts.book import ContactBook
from warouter.api.contacts.cloud_contacts import IdentityCheck
from warouter.api.monitoring.operations import Operations
from warouter.api.profile.port import ProfileStore
from warouter.app_settings import Network
from warouter.link.pending import Submitting
from warouter.media.library import Library
from warouter.media.received import Received
from warouter.store.account.accounts import Accounts
from warouter.store.account.backup import Backups
from warouter.store.account.keys import Keys
from warouter.store.account.logins import Logins
from warouter.store.account.registration import Registrations
from warouter.store.account.stickers import Stickers
from warouter.store.audit import Audit
from warouter.store.views.number_status import NumberFacts
from warouter.store.views.trace import Trace
from warouter.upstream.registration import Registrar


class NodeState(msgspec.Struct, frozen=True):
    """A node as /v1/health shows it; ``name`` is ``host:container``."""

    name: str
    gateway_status: str  # connected, connecting, disconnected, uninitialized, unregistered
    role: str  # primary_master, secondary_master, coreapp
    problem: str = ""  # why a node that does not answer is taken for away


class HealthReport(NamedTuple):
    """The contents of /v1/health: the nodes, and sentences for people.

    With the Cloud API also what Meta says of the number, once it was asked.
    """

    nodes: list[NodeState]
    notes: list[str]
    number: NumberFacts | None = None


class ClusterAccess(Protocol):
    """The rest of the cluster, as far as handlers need it."""

    async def shards(self) -> int: ...

    async def set_shards(self, shards: int) -> list[str]:
        """Warnings, once the new map is in force; ChangeRefused, or NotReady if it may yet be."""

    async def health(self, number: int) -> HealthReport:
        """The nodes, and how the number stands with them."""

    async def find_inbound(self, message_id: str, number: int) -> str | None:
        """The sender's wa_id of an inbound message of the number, None if the id is unknown."""

    async def trace(self, message_id: str, number: int) -> Trace | None:
        """Where a message of the number is, None if its id is unknown."""


class ApiConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the API; limits are in bytes. ``api_keys`` gives those of the moment."""

    json_limit: int = 64 * 1024
    contacts_limit: int = 512 * 1024
    allow_http_webhook: bool = False
    allow_private: tuple[Network, ...] = ()
    webhook_ports: frozenset[int] = frozenset((443, 8443))
    api_keys: Callable[[], Sequence[str]] = tuple
    multiconnect: bool = True
    shards_cert: Literal["after-7-days", "never"] = "after-7-days"
    trusted_proxies: tuple[Network, ...] = ()
    server_version: bool = True
    any_cert: bool = False  # the upstream has no certificates: only their form is checked
    d360: bool = False  # 360dialog's dialect is served too
    options: bool = False  # of a single message travel with it: its upstream has a use for them

    def __repr__(self) -> str:
        return "ApiConfig(...)"


@dataclass(frozen=True, slots=True)
class Context:
    """Parts of the webapp for handlers, created once; callables raise ApiErrors or the store's."""

    accounts: Accounts
    tokens: TokenCache
    keys: Keys
    passwords: Passwords
    logins: Logins
    audit: Audit
    registrations: Registrations
    # Of a number, which each call names.
    authority: Callable[[int], Registrar]
    backups: Backups
    config: ApiConfig
    messages: Submitting
    cluster: ClusterAccess
    # Closed with the application.
    contacts: ContactBook
    profile: Callable[[int], ProfileStore]
    stickers: Stickers
    # Asks all owners to prune what is settled and old enough.
    collect: Callable[[], Awaitable[None]]
    media: Library
    received: Received
    # Metrics, stats, support, rate limits.
    operations: Operations
    # The certificates (PEM, leaf first) that this webapp shows; "" without TLS.
    served_chain: Callable[[], str] = lambda: ""
    # What show_security_notifications sets at the upstream for a number; None where that asks for
    # nothing.
    identity_check: Callable[[int], IdentityCheck | None] = lambda _: None
    # The templates of a number's account; None where the upstream has none.
    templates: Callable[[int], TemplateList | None] = lambda _: None
    # Who must wait for having guessed at the API key.
    waits: Waits = field(default_factory=Waits)
    # Who must wait for having guessed at keys.
    key_waits: Waits = field(default_factory=Waits)
