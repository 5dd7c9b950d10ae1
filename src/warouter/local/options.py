"""The options of ``warouter up``, and the placement of its processes elsewhere by tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

SIMULATOR, EMULATOR, CLOUD = UPSTREAMS = "simulator", "cloud-simulator", "cloud"


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """How a process is started. Tests wrap it in a command,
    move it elsewhere, or run another build.

    ``prefix`` stands before the interpreter, ``program`` is what Python runs. Where neither is
    given the process is forked from what is loaded already, if ``by_fork``; else it is executed,
    as a service manager would.
    """

    prefix: tuple[str, ...] = ()
    program: tuple[str, ...] = ("-m", "warouter")
    environment: dict[str, str] = {}
    by_fork: bool = True


def here(_name: str, _role: str) -> Placement:
    """Starts every process on this host, as installed."""
    return Placement()


def executed(_name: str, _role: str) -> Placement:
    """Starts every process as installed, from its own imports on, for who measures it."""
    return Placement(by_fork=False)


def on_loopback(_name: str) -> str:
    """Where a webapp hears webhooks of the Cloud API, unless told."""
    return "127.0.0.1"


class UpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of ``warouter up``. ``port`` 0 takes a free one.

    ``coreapps`` None: one more than there are shards, at least three. The shards are those of the
    database: ``shards`` is only what a fresh one starts with.

    ``listen`` is the address of webapps, and so of ``port``.

    ``console`` starts one, too.

    ``place`` says, by name and role, how each process is started; ``postgres`` are options of the
    embedded server. ``upstream`` is one of ``UPSTREAMS``: the simulator by its native door or its
    Cloud door, or the Graph API that the variables name. ``emulator_faults`` are switches of the
    Cloud door from the start, as NAME=VALUE, ``emulator_tls`` paths of a certificate (which the
    processes are to trust) and its key, and ``listen_host`` says by its name where a webapp hears
    webhooks.
    """

    data_dir: Path
    shards: int = 2
    coreapps: int | None = None
    webapps: int = 1
    masters: int = 2
    port: int = 9090
    listen: str = "127.0.0.1"
    tls: bool = True
    console: bool = False
    environment: dict[str, str] = {}
    place: Callable[[str, str], Placement] = here
    postgres: dict[str, str] = {}
    simulator_host: str = "127.0.0.1"
    upstream: str = SIMULATOR
    emulator_faults: tuple[str, ...] = ()
    emulator_tls: tuple[str, str] | None = None
    listen_host: Callable[[str], str] = on_loopback
