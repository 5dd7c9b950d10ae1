"""A whole cluster on one machine, for ``warouter up`` and for tests.

``DATA_DIR/cluster.json`` (0600) says to programs where everything is; it is kept up to date.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import asyncpg
import msgspec

from warouter import background
from warouter.background import wait_for
from warouter.check.postgres_version import described
from warouter.config import Settings, load
from warouter.errors import CommandError
from warouter.local import cloud_emulator, forks, ports
from warouter.local.container import EVERYWHERE, HERE, Orphans
from warouter.local.counts import coreapps_for
from warouter.local.description import read_description, take_folder, write_description
from warouter.local.environment import (
    dsn_of,
    of_child,
    of_simulator,
    outer_settings,
    public_certificate,
)
from warouter.local.number import NumberParts, registered
from warouter.local.options import EMULATOR, SIMULATOR, UpOptions
from warouter.local.postgres import Postgres
from warouter.local.process import Process
from warouter.local.secrets import kept_secrets
from warouter.local.seed import (
    first_seed,
    own_logins,
    ready_map,
    seed_number,
    server_version,
    shards_now,
    use_upstream,
)
from warouter.local.upstream import authority_key, certificate
from warouter.store import migrate
from warouter.store.roles import grants

log = logging.getLogger(__name__)

SETTLE_SECONDS = 20.0
_OTHER_PORT = "set WAROUTER_CONSOLE_LISTEN to another address, such as 127.0.0.1:0"
LOOK_SECONDS = 0.25
ASK_SECONDS, ANSWER_SECONDS = 1.0, 5.0  # between two questions for the number; of one
SAMPLE = NumberParts("1", "6315550000")  # of the simulator, and where the Graph API names none


class Cluster:
    """Starts, supervises and stops all processes of one cluster."""

    def __init__(self, options: UpOptions) -> None:
        self.options = options
        self.folder = options.data_dir.resolve()
        self.processes: dict[str, Process] = {}
        self.postgres: Postgres | None = None
        self.user = "admin"
        self.password = ""
        self.cert = ""
        self.number: NumberParts | None = None  # None: none is registered yet
        self.about_postgres = ""  # a sentence for who started it
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._environment: dict[str, str] = {}
        self._ports: list[int] = []  # released when it has stopped
        self._webapp_ports: list[int] = []
        self._logins: dict[str, str] = {}  # by kind of process, in a database of its own
        self._listening: list[tuple[str, int]] = []  # webapps, for webhooks of the Cloud API
        self.port = 0
        self.control_port = 0
        self.console_port = 0  # 0: there is none
        self._lock: int | None = None
        self._written = ""

    # what programs read

    @property
    def url(self) -> str:
        return f"{'https' if self.options.tls else 'http'}://{self._host('localhost')}:{self.port}"

    @property
    def control_url(self) -> str:
        return f"http://127.0.0.1:{self.control_port}"

    @property
    def console_url(self) -> str:
        """The console's first page; "" if there is none."""
        host, _ = self.settings.console_host_port
        named = "localhost" if host in (HERE, EVERYWHERE) else host
        scheme = "https" if self.options.tls else "http"
        return f"{scheme}://{named}:{self.console_port}/console/" if self.console_port else ""

    @property
    def settings(self) -> Settings:
        return load(self._environment)

    @property
    def webapp_urls(self) -> list[str]:
        scheme = "https" if self.options.tls else "http"
        host = self._host(HERE)
        return [f"{scheme}://{host}:{port}" for port in self._webapp_ports]

    @property
    def cloud_webhooks(self) -> list[str]:
        """Where Meta, or who stands in for it, sends webhooks: one URL a webapp."""
        tls = bool(self._environment.get("WAROUTER_CLOUD_TLS_CERT"))
        return [cloud_emulator.webhook_url(host, port, tls=tls) for host, port in self._listening]

    def _host(self, here: str) -> str:
        """The host of a URL: ``here`` where webapps listen on loopback as well."""
        return here if self.options.listen in (HERE, EVERYWHERE) else self.options.listen

    # life

    async def start(self) -> None:
        """Start everything in order; raises CommandError with a sentence if something fails."""
        port = self.options.port
        self.port = self._take_port(port, self.options.listen) if port else self._free_port()
        self._lock = take_folder(self.folder)
        old = read_description(self.folder)
        await self._start_database()
        self.password = await first_seed(
            self.settings, self.options.shards, old.get("password", "")
        )
        await self._start_upstream(old)
        for n in range(1, await self._coreapps() + 1):
            self._add_coreapp(n)
        await self._start_all("coreapp")
        for n in range(1, self.options.masters + 1):
            self._add("master", n, {})
        await self._start_all("master")
        for n in range(1, self.options.webapps + 1):
            self._add_webapp(n)
        await self._start_all("webapp")
        if self.options.console and find_spec("jinja2"):
            self._add_console()
            await self._start_all("console")
        await ready_map(self.settings, SETTLE_SECONDS)
        version = await server_version(self.settings)
        self.about_postgres = described(version, embedded=self.postgres is not None)
        self.write_description()

    async def run(self, stop: asyncio.Event) -> None:
        """Restart what dies and keep cluster.json up to date until told to stop."""
        orphans = Orphans()
        asking = background.begin(self._ask_for_number(), self._no_number)
        try:
            while not stop.is_set():
                self.write_description()
                await wait_for(stop, LOOK_SECONDS)
                await self._revive_postgres()
                if os.getpid() == 1:
                    orphans.look(self._own())
        finally:
            asking.cancel()

    async def stop(self) -> None:
        """Stop everything in order: console, webapps, coreapps, masters, simulator, PostgreSQL."""
        for role in ("console", "webapp", "coreapp", "master", "simulator"):
            processes = [p for p in self.processes.values() if p.role == role]
            await asyncio.gather(*(p.stop() for p in processes))
        for keeper in self._keepers.values():
            keeper.cancel()
        await asyncio.gather(*self._keepers.values(), return_exceptions=True)
        if self.postgres is not None:
            await asyncio.to_thread(self.postgres.stop)
        ports.release(self._ports)
        self._ports.clear()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def add_coreapps(self, count: int) -> list[Process]:
        """Start more coreapps, which is how the original product scales up."""
        coreapps = [name for name, p in self.processes.items() if p.role == "coreapp"]
        first = 1 + max(int(name.rpartition("-")[2]) for name in coreapps)
        new = [self._add_coreapp(n) for n in range(first, first + count)]
        await asyncio.gather(*(self._start(p) for p in new))
        self.write_description()
        return new

    async def again(self, process: Process) -> None:
        """Start a stopped process, with its present command."""
        await self._start(process)
        self.write_description()

    def description(self) -> dict[str, Any]:
        """The content of cluster.json: addresses, credentials, processes, settings for joining."""
        processes = [
            {"name": p.name, "role": p.role, "pid": p.pid}
            for p in self.processes.values()
            if p.alive
        ]
        if self.postgres is not None and self.postgres.alive():
            processes.append({"name": "postgres", "role": "postgres", "pid": self.postgres.pid})
        number = self.number or SAMPLE
        return {
            "url": self.url,
            "user": self.user,
            "password": self.password,
            "cc": number.cc,
            "phone_number": number.phone_number,
            "cert": self.cert,
            "webapps": self.webapp_urls,
            **({"simulator": {"control_url": self.control_url}} if self.control_port else {}),
            **({"cloud_webhooks": self.cloud_webhooks} if self._listening else {}),
            **({"console": {"url": self.console_url}} if self.console_port else {}),
            "database": {"dsn": self._dsn()},
            "processes": processes,
            "environment": self._environment,
            "logins": self._logins,
        }

    def write_description(self) -> None:
        text = msgspec.json.format(msgspec.json.encode(self.description())).decode()
        if text == self._written:
            return
        write_description(self.folder, text)
        self._written = text

    # steps of the start

    async def _start_database(self) -> None:
        outer = os.environ | self.options.environment
        given = {k: v for k, v in outer.items() if k.startswith(("WA_DB_", "WAROUTER_DB_"))}
        if "WA_DB_HOSTNAME" not in given:
            self.postgres = Postgres(self.folder / "postgres", **self.options.postgres)
            await asyncio.to_thread(self.postgres.start)
            given = self.postgres.settings()
        networks = "127.0.0.0/8,::1/128"
        in_bucket = outer.get("WAROUTER_MEDIA_URL")
        media = {} if in_bucket else {"WAROUTER_MEDIA_DIR": str(self.folder / "media")}
        self._environment = {
            **kept_secrets(given, self.folder),
            "WAROUTER_NO_TLS": "0" if self.options.tls else "1",
            **(public_certificate(self.folder) if self.options.tls else {}),
            "WA_APP_MULTICONNECT": "1",
            "WAROUTER_SHARDS_CERT": "never",
            "WAROUTER_WEBHOOK_ALLOW_HTTP": "1",
            "WAROUTER_ALLOW_PRIVATE": networks,
            "WAROUTER_MEDIA_ALLOW_PRIVATE": networks,
            **media,
            "WAROUTER_MEDIA_ALLOW_HTTP": "1",
            "WAROUTER_PUBLIC_URL": self.url,
            **kept_secrets(outer_settings(os.environ), self.folder),
            **kept_secrets(self.options.environment, self.folder),
        }
        await migrate.migrate(self.settings)
        if self.postgres is not None:
            self._logins = await own_logins(self.settings)

    async def _start_upstream(self, old: dict[str, Any]) -> None:
        """Start what stands in for WhatsApp, and register the number with it."""
        if self.options.upstream == SIMULATOR:
            await use_upstream(self.settings)
            key = await self._start_simulator(old)
            await self._seed_number(key)
            return
        self._environment["WAROUTER_UPSTREAM"] = "cloud"
        for n in range(1, self.options.webapps + 1):
            given = cloud_emulator.listening(self._environment, n)
            host = self.options.listen_host(f"webapp-{n}")
            self._listening.append(given or (host, self._free_port()))
        if self.options.upstream == EMULATOR:
            await self._start_emulator()
        cert, key = cloud_emulator.own_certificate(self.folder, "".join(SAMPLE))
        self.cert = old.get("cert", "") or cert
        await use_upstream(self.settings)
        if self.options.upstream == EMULATOR:
            await self._seed_number(key)
        else:
            await self._look_for_number()

    async def _seed_number(self, authority_key: str) -> None:
        await seed_number(self.settings, *SAMPLE, self.cert, authority_key)
        self.number = SAMPLE

    async def _ask_for_number(self) -> None:
        """Ask until a number is registered: the Graph API may be away, or not be ready for it."""
        while self.number is None:
            await asyncio.sleep(ASK_SECONDS)
            await self._look_for_number()

    async def _look_for_number(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                self.number = await registered(self.settings, self.cert, SAMPLE)
        except (OSError, CommandError, asyncpg.PostgresError) as error:
            self._no_number(error)

    def _no_number(self, error: Exception) -> None:
        log.warning("number look-up failed", extra={"error": str(error) or repr(error)})

    async def _start_emulator(self) -> None:
        graph_port, self.control_port = self._free_port(), self._free_port()
        tls = self.options.emulator_tls is not None
        self._environment |= cloud_emulator.emulated(self.folder, graph_port, tls=tls)
        arguments = cloud_emulator.arguments(
            graph_port,
            self.control_port,
            self.options.simulator_host,
            self.cloud_webhooks,
            "".join(SAMPLE),
            self.options.emulator_faults,
        )
        if self.options.emulator_tls:
            arguments += ["--tls", *self.options.emulator_tls]
        environment = of_simulator(self._environment)
        process = Process("simulator", "simulator", arguments, environment, self.folder)
        self.processes[process.name] = process
        await self._start(process)

    async def _start_simulator(self, old: dict[str, Any]) -> str:
        """Returns the public key of its registration authority, in base64."""
        port, self.control_port, services = (self._free_port() for _ in range(3))
        self._environment["WAROUTER_UPSTREAM_ADDRESS"] = f"127.0.0.1:{port}"
        self._environment["WAROUTER_UPSTREAM_SERVICES"] = f"127.0.0.1:{services}"
        arguments = [
            "simulator",
            "--host",
            self.options.simulator_host,
            "--port",
            str(port),
            "--control-port",
            str(self.control_port),
            "--services-port",
            str(services),
            "--data-dir",
            str(self.folder),
        ]
        environment = of_simulator(self._environment)
        process = Process("simulator", "simulator", arguments, environment, self.folder)
        self.processes[process.name] = process
        await self._start(process)
        self.cert = old.get("cert", "") or await certificate(self.control_url, *SAMPLE)
        return await authority_key(self.control_url)

    async def _coreapps(self) -> int:
        if self.options.coreapps is not None:
            return self.options.coreapps
        return coreapps_for(await shards_now(self.settings))

    def _add_coreapp(self, number: int) -> Process:
        return self._add("coreapp", number, {"COREAPP_EXTERNAL_PORTS": "0"})

    def _add_webapp(self, number: int) -> Process:
        port = self._free_port()
        self._webapp_ports.append(port)
        environment = {
            "WEBAPP_HOSTNAME": self.options.listen,
            "WEBAPP_EXTERNAL_PORTS": str(port),
            "WAROUTER_PUBLIC_PORT": str(self.port),
        }
        if self._listening:
            host, listen_port = self._listening[number - 1]
            environment["WAROUTER_CLOUD_LISTEN"] = f"{host}:{listen_port}"
        return self._add("webapp", number, environment)

    def _add_console(self) -> None:
        host, self.console_port = self._console_address()
        certificate = self._environment.get("WAROUTER_TLS_CERT", "")
        simulator = {"WAROUTER_CONSOLE_SIMULATOR": self.control_url} if self.control_port else {}
        environment = {
            "WAROUTER_CONSOLE_LISTEN": f"{host}:{self.console_port}",
            "WAROUTER_CONSOLE_API": self.url,
            "WAROUTER_CONSOLE_API_CA": certificate if self.options.tls else "",
            **simulator,
        }
        self._add("console", 1, environment)

    def _console_address(self) -> tuple[str, int]:
        """The console's address as it is set; else the usual port, or a free one if it is taken."""
        host, port = self.settings.console_host_port
        if "WAROUTER_CONSOLE_LISTEN" in self._environment and port:
            return host, self._take_port(port, host, _OTHER_PORT)
        if self.options.listen == EVERYWHERE and self.options.tls:
            host = EVERYWHERE  # a container, from which a port is published
        if port and self.options.port:
            with suppress(CommandError):
                return host, self._take_port(port, host)
        return host, self._free_port()

    def _add(self, role: str, number: int, environment: dict[str, str]) -> Process:
        name = f"{role}-{number}"
        place = self.options.place(name, role)
        kind = grants.kind_of(role)
        login = {"WA_DB_USERNAME": self._logins[kind]} if kind in self._logins else {}
        own = {"WAROUTER_NODE": f"localhost:{name}", **login, **environment, **place.environment}
        full = of_child({**self._environment, **own})
        started = place.prefix, place.program, place.by_fork
        process = Process(name, role, [role], full, self.folder, *started)
        self.processes[name] = process
        return process

    async def _start_all(self, role: str) -> None:
        await asyncio.gather(*(self._start(p) for p in self.processes.values() if p.role == role))

    async def _start(self, process: Process) -> None:
        keeper = self._keepers.pop(process.name, None)
        if keeper is not None:  # the keeper may be about to restart what is started here
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        await process.start()
        self._keepers[process.name] = asyncio.create_task(process.keep())

    def _own(self) -> list[int | None]:
        """Children that somebody waits for."""
        server = [self.postgres.child] if self.postgres is not None else []
        return [process.pid for process in self.processes.values()] + server + forks.own_pids()

    async def _revive_postgres(self) -> None:
        if self.postgres is not None and not self.postgres.alive():
            await asyncio.to_thread(self.postgres.start)

    def _free_port(self) -> int:
        port = ports.free_port()
        self._ports.append(port)
        return port

    def _take_port(self, port: int, host: str, remedy: str = "give --port") -> int:
        self._ports.append(ports.take(port, host, remedy))
        return port

    def _dsn(self) -> str:
        settings = self.settings
        if self.postgres is not None:
            return self.postgres.dsn(settings.database)
        return dsn_of(settings)
