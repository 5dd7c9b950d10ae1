"""Reports of a process every five seconds: its metrics, and facts about it and its host.

Started beside the work, by ``main``: nothing waits for it, and what it cannot say it says later.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import resource
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from warouter import API_VERSION, __version__
from warouter.background import rest
from warouter.flow.posts import Sheet
from warouter.log import Outage
from warouter.metrics import BUILD_INFO, Sample
from warouter.node.runtime import ProcessIdentity
from warouter.store.beats import NodeSession
from warouter.store.reports import ReportBody, ReportWriter

log = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
AGAIN_SECONDS = 60.0
_PAGE_BYTES = resource.getpagesize()


# Variables whose values are shown. Of any other that is set only the name is: it may be a secret.
_SHOWN = """
    WA_DB_ENGINE WA_DB_PORT WA_DB_NAME_PREFIX WA_APP_MULTICONNECT COREAPP_HOSTNAME
    COREAPP_EXTERNAL_PORTS COREAPP_CONTAINER_NAME WEBAPP_HOSTNAME WEBAPP_EXTERNAL_PORTS
    WEBAPP_CONTAINER_NAME WAROUTER_NODE WAROUTER_PUBLIC_PORT WAROUTER_NO_TLS WAROUTER_UPSTREAM
    WAROUTER_DB_NAME WAROUTER_DB_SCHEMA WAROUTER_SHARDS_CERT WAROUTER_RETENTION
    WAROUTER_WEBHOOK_ALLOW_HTTP WAROUTER_ALLOW_PRIVATE WAROUTER_MEDIA_ALLOW_PRIVATE
    WAROUTER_JSON_LIMIT WAROUTER_BEAT
    WAROUTER_LEASE WAROUTER_MARGIN WAROUTER_HOLD WAROUTER_LOG_LEVEL WAROUTER_RATE_LIMIT
    WAROUTER_TRUSTED_PROXIES WAROUTER_FAST_PATH WAROUTER_LETTERS_RETENTION
    WAROUTER_SERVER_VERSION WAROUTER_CONNECTIONS WAROUTER_CONNECTIONS_PER_ADDRESS
    WAROUTER_WEBHOOK_PORTS WAROUTER_PENDING WAROUTER_AUDIT_RETENTION
    WAROUTER_REQUIRE_CONTACT_CHECK WAROUTER_D360 WAROUTER_MEDIA_DIR WAROUTER_MEDIA_QUOTA
    WAROUTER_MEDIA_S3_ENDPOINT WAROUTER_MEDIA_S3_REGION WAROUTER_MEDIA_SPOOL
    WAROUTER_MEDIA_ALLOW_HTTP WAROUTER_CLOUD_PHONE_NUMBER_ID WAROUTER_CLOUD_WABA_ID
    WAROUTER_CLOUD_VERSION WAROUTER_CLOUD_MARKETING WAROUTER_CLOUD_LISTEN WAROUTER_CLOUD_IN_DOUBT
    WAROUTER_CLOUD_DOUBT_SECONDS WAROUTER_CLOUD_RATE WAROUTER_CLOUD_ORDER WAROUTER_CLOUD_BSUID
    WAROUTER_CLOUD_STANDBY WAROUTER_CLOUD_ECHOES WAROUTER_CLOUD_LATE_SUCCESS WAROUTER_DB_SSL
"""
SHOWN = frozenset(_SHOWN.split())
_OURS = ("WA_", "WAROUTER_", "COREAPP_", "WEBAPP_", "WACORE_")


class SideSheet(Protocol):
    """The sheet beside the reports, written only when it has changed: ``webhook.post_record``."""

    version: int

    def sheet(self) -> Sheet: ...


class Reporter:
    """``figures`` are collected for each report; ``state`` adds facts that change, by name.

    They go between two beats, on their ``session``, and so does what a coreapp says ``aside``.
    """

    def __init__(
        self,
        session: NodeSession,
        identity: ProcessIdentity,
        figures: Callable[[], list[Sample]],
        state: Callable[[], Mapping[str, Any]] = dict,
        aside: SideSheet | None = None,
    ) -> None:
        self._session = session
        who = (identity.incarnation, identity.name, identity.role)
        self._writer = ReportWriter(session.fetch, *who)
        self._started = identity.started
        self._figures = figures
        self._state = state
        self._aside = aside
        self._said, self._said_at = 0, 0.0
        self._facts = host_facts(shown_environment(os.environ))

    async def run(self) -> None:
        """Report until cancelled."""
        outage = Outage()
        while True:
            await self._session.registered.wait()
            try:
                await self.report()
                outage.ends()
            except Exception as error:
                # A report that fails must not end the process that it is about.
                if outage.begins():
                    log.warning("report failed", extra={"error": repr(error)})
            await rest(EVERY_SECONDS)

    async def report(self) -> None:
        """Report once; raises what the session's ``fetch`` raises."""
        await self._writer.write(self._body())
        await self._say_aside()

    async def close(self) -> None:
        """Delete this process's row, because it stops in order."""
        with contextlib.suppress(Exception):
            await self._writer.remove()

    async def _say_aside(self) -> None:
        """Up to 40 KiB, so not with each report; now and then also unchanged, as the row may have
        been lost meanwhile: the table is unlogged.
        """
        if self._aside is None or not (version := self._aside.version):
            return
        now = time.monotonic()
        if version != self._said or now - self._said_at >= AGAIN_SECONDS:
            await self._writer.write_sheet(self._aside.sheet())
            self._said, self._said_at = version, now

    def _body(self) -> ReportBody:
        facts = {**self._facts, **moment_facts(), **self._state()}
        return ReportBody([*self._figures(), *process_samples(self._started)], facts)


def process_samples(started: float) -> list[Sample]:
    """Metrics of every process: build, memory, processor time, files, and how long it has run."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return [
        Sample(BUILD_INFO, 1, {"version": __version__, "api": API_VERSION}),
        Sample("warouter_process_cpu_seconds_total", used.ru_utime + used.ru_stime),
        Sample("warouter_process_uptime_seconds", round(time.monotonic() - started)),
        *_of_proc(),
    ]


def _of_proc() -> list[Sample]:
    """Values from /proc, which need a file descriptor: none if none is left."""
    try:
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
        files = len(os.listdir("/proc/self/fd"))
    except OSError:
        return []
    return [
        Sample("warouter_process_resident_memory_bytes", resident),
        Sample("warouter_process_open_files", files),
    ]


def host_facts(environment: list[str]) -> dict[str, Any]:
    """Facts that do not change. ``environment`` holds no secret: see ``shown_environment``."""
    system = _os_release()
    return {
        "description": f"warouter {__version__}",
        "env": environment,
        "os_name": system.get("NAME", platform.system()),
        "os_version": system.get("VERSION_ID", platform.release()),
        "python": platform.python_version(),
    }


def moment_facts() -> dict[str, Any]:
    """Facts that change: the host's time, and free bytes of the working directory."""
    disk = os.statvfs(".")
    return {
        "device_iso8601": datetime.now(UTC).isoformat(timespec="seconds"),
        "free_space": disk.f_bavail * disk.f_frsize,
    }


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def shown_environment(environ: Mapping[str, str]) -> list[str]:
    """``NAME=value`` for harmless variables, ``NAME=***`` for all others."""
    return [
        f"{name}={value if name in SHOWN else '***'}"
        for name, value in sorted(environ.items())
        if name.startswith(_OURS) and value
    ]
