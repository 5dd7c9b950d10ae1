"""Common to every process: event loop, signals, first contact with the database, identity."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from uuid import UUID, uuid4

import asyncpg
import uvloop

from warouter import __version__, log
from warouter.background import rest
from warouter.cluster.shardmap import SIMULATOR
from warouter.config import Settings
from warouter.errors import CommandError, lacking
from warouter.net.answering import answering
from warouter.net.health import ProcessHealth
from warouter.secret import world_readable
from warouter.store import database, migrate, server_settings
from warouter.store.beats import NodeRegistration
from warouter.store.roles import catalogue, grants
from warouter.store.upstream import read_upstream
from warouter.systemd import SIGN_SECONDS, Notifier
from warouter.tls.link import LinkCertificate

logger = logging.getLogger(__name__)

GC_ALLOCATIONS = 5_000  # of 20,000 half were in cycles, and a collection took 29 ms
MOST_FILES = 65_536


# Seconds of CLOCK_BOOTTIME, which goes on while the machine is suspended. It is asked some twenty
# times a message, so there is no function of Python's around it.
boottime: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_BOOTTIME)


class ProcessIdentity:
    """The identity of a process: a lasting name, and an incarnation drawn at each start."""

    def __init__(self, settings: Settings, role: str) -> None:
        self.incarnation: UUID = uuid4()
        self.started = time.monotonic()
        self.role = role
        self.name = settings.node or f"{socket.gethostname()}:{_container(settings, role)}"
        self.application = database.application_name(self.incarnation, self.name)
        log.bind(node=self.name, role=role, incarnation=self.incarnation.hex[:8])

    def registration(
        self,
        host: str,
        port: int,
        *,
        link_key: bytes | None = None,
        certificate: LinkCertificate | None = None,
    ) -> NodeRegistration:
        """With the certificate of a coreapp that other hosts dial."""
        return NodeRegistration(
            incarnation=self.incarnation,
            name=self.name,
            role=self.role,
            host=host,
            port=port,
            version=__version__,
            pid=os.getpid(),
            link_key=link_key,
            fingerprint=certificate.fingerprint if certificate else None,
            certificate=certificate.der if certificate else b"",
        )


def _container(settings: Settings, role: str) -> str:
    """The part of a node's name after the host: like the product's, or unique on the host."""
    match role:
        case "coreapp":
            return settings.coreapp_container or f"coreapp-{settings.link_port}"
        case "webapp":
            return settings.webapp_container or f"webapp-{settings.webapp_port}"
        case _:
            return f"{role}-{os.getpid()}"


def health_of(
    identity: ProcessIdentity,
    notifier: Notifier,
    beat_age: Callable[[], float | None],
    *,
    problem: Callable[[], str] = str,
    listens: tuple[str, int, bool] | None = None,
) -> AbstractContextManager[None]:
    """Answers `warouter healthcheck` for as long as it is entered.

    ``beat_age`` is that of the last answer of the database in seconds, None before the first.
    """

    def say() -> ProcessHealth:
        return ProcessHealth(
            role=identity.role,
            name=identity.name,
            pid=os.getpid(),
            status=notifier.said,
            beat_s=beat_age(),
            stopping=notifier.stops,
            problem=problem(),
            listens=listens,
        )

    return answering(identity.role, identity.incarnation.hex, say)


async def check_database(settings: Settings, identity: ProcessIdentity) -> None:
    """Refuse to start on a database that is unreachable, too old or too new, of another hash, or,
    as a coreapp, of another upstream.
    """
    connection = await database.first_connection(settings, identity.application)
    try:
        await migrate.check(connection)
        await _check_login(connection, identity.role)
        if identity.role == "coreapp":
            _check_upstream(settings.upstream_name, await read_upstream(connection))
        if settings.upstream_name != SIMULATOR:
            for sentence in settings.cloud.warnings():
                logger.warning("risky setting found", extra={"reason": sentence})
        for name, path in settings.private_keys.items():
            if world_readable(path):
                sentence = f"{name} is {path}, which everybody may read: run `chmod o= {path}`."
                logger.warning("risky setting found", extra={"reason": sentence})
        found = await database.settings_found(connection, list(server_settings.WARNED))
        for sentence in server_settings.dangers(found):
            logger.warning("unsafe database setting found", extra={"reason": sentence})
    except asyncpg.InsufficientPrivilegeError as error:
        raise CommandError(lacking(f"login {settings.db_username}: {error}")) from error
    finally:
        await database.close_politely(connection)


async def _check_login(connection: database.Connection, role: str) -> None:
    """With the login of another kind it would run, and be refused whatever it does."""
    names = await catalogue.recorded(connection)
    login = await connection.fetchval("select session_user::text")
    kind = next((kind for kind, name in names.items() if name == login), "")
    wanted = grants.kind_of(role)
    if kind and kind != wanted:
        how = (
            f"set WA_DB_USERNAME to {names[wanted]}, with its password."
            if wanted in names
            else f"`warouter migrate --roles` makes the login of kind {wanted}."
        )
        raise CommandError(f"Login {login} is that of kind {kind}, and this is a {role}: {how}")


def _check_upstream(mine: str, stored: str) -> None:
    """A database belongs to one upstream: what it has sent, that one alone knows."""
    if mine != stored:
        raise CommandError(
            f"The database's upstream is {stored}, and this coreapp is set to {mine}: set"
            " WAROUTER_UPSTREAM as the other coreapps have it, or give it a new database."
        )


def run(main: Callable[[asyncio.Event, Notifier], Awaitable[None]]) -> None:
    """Run ``main`` until SIGTERM or SIGINT sets its event; ``main`` then stops in order."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_told(main))


async def _until_told(main: Callable[[asyncio.Event, Notifier], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _allow_many_files()
    if os.environ.get("WAROUTER_STOP_ON_EOF"):
        # Started by `warouter up`: stop in order when that was killed and its pipe is closed.
        loop.add_reader(0, stop.set)
    # It runs rarely, as reference counts free nearly everything.
    gc.set_threshold(GC_ALLOCATIONS, 20, 50)
    await main(stop, Notifier())


def _allow_many_files() -> None:
    """Raise the soft limit of open files (often 1,024) to the hard one, for the connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def run_until(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Wait for ``stop``. A task that ends earlier is a defect: its error ends the process."""
    stopped = asyncio.ensure_future(stop.wait())
    done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    for task in done:
        if task is not stopped:
            # Said before all else is closed: that may fail as well, and hide the cause.
            error = None if task.cancelled() else task.exception()
            logger.error("task failed", exc_info=error, extra={"task": task.get_name()})
            await task
            raise RuntimeError(f"{task.get_name()} ended unexpectedly")


async def signs_of_life(notifier: Notifier) -> None:
    """Feed the watchdog for as long as the loop turns, also while the database is away: a process
    that is killed for that would leave in doubt what it has out.
    """
    while True:
        notifier.alive()
        await rest(SIGN_SECONDS)


async def cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
