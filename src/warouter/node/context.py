"""Assembles the Context of the API's handlers from a webapp's parts.

Used by ``node.webapp`` and, with a stand-in for the rest of the cluster, by the tests of the API.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import asyncpg

from warouter.access.passwords import Passwords
from warouter.api.access.tokens import TokenCache
from warouter.api.configs.template_list import TemplateList
from warouter.api.contacts.book import ContactBook
from warouter.api.contacts.cloud_contacts import IdentityCheck
from warouter.api.context import ApiConfig, ClusterAccess, Context
from warouter.api.monitoring.operations import Operations
from warouter.api.profile.port import ProfileStore
from warouter.http.meter import Meter
from warouter.http.rates import Rates
from warouter.link.pending import Submitting
from warouter.media.received import Received
from warouter.metrics import Sample
from warouter.store.account.accounts import Accounts
from warouter.store.account.backup import Backups
from warouter.store.account.contacts import ContactStore
from warouter.store.account.keys import Keys
from warouter.store.account.logins import Logins
from warouter.store.account.registration import Registrations
from warouter.store.account.stickers import Stickers
from warouter.store.audit import Audit
from warouter.store.history import ask_for_collection
from warouter.store.reports import read_reports
from warouter.store.views.facts import read_facts
from warouter.store.views.stats import Statistics
from warouter.upstream.number_services import NumberLookup
from warouter.upstream.registration import Registrar


def operations_of(
    pool: asyncpg.Pool,
    node: str,
    meter: Meter,
    own: Callable[[], list[Sample]],
    rates: Rates | None = None,
) -> Operations:
    """Sources of metrics, reports and facts of a webapp; ``own`` are samples of this process."""
    statistics = Statistics(pool)
    return Operations(
        node=node,
        reports=lambda: read_reports(pool),
        stored=statistics.cluster,
        tables=statistics.tables,
        facts=lambda number: read_facts(pool, number),
        own=own,
        rates=rates,
        meter=meter,
    )


def assemble(
    pool: asyncpg.Pool,
    config: ApiConfig,
    cluster: ClusterAccess,
    messages: Submitting,
    *,
    tokens: TokenCache,
    operations: Operations,
    audit: Audit,
    received: Received,
    authority: Callable[[int], Registrar],
    numbers: NumberLookup,
    profile: Callable[[int], ProfileStore],
    contact_check: bool,
    served_chain: Callable[[], str],
    identity_check: Callable[[int], IdentityCheck | None] = lambda _: None,
    templates: Callable[[int], TemplateList | None] = lambda _: None,
) -> Context:
    """The Context of one webapp; ``authority`` and ``numbers`` are services of the upstream, which
    may have the ``profile`` and ``templates`` too. Those of a number are called with it.
    """
    return Context(
        accounts=Accounts(pool),
        tokens=tokens,
        keys=Keys(pool),
        passwords=Passwords(),
        logins=Logins(pool),
        audit=audit,
        registrations=Registrations(pool),
        authority=authority,
        backups=Backups(pool),
        config=config,
        messages=messages,
        cluster=cluster,
        contacts=ContactBook(ContactStore(pool), numbers, required=contact_check),
        profile=profile,
        stickers=Stickers(pool),
        collect=partial(ask_for_collection, pool),
        served_chain=served_chain,
        identity_check=identity_check,
        templates=templates,
        operations=operations,
        media=received.library,
        received=received,
    )
