"""One connection to one server, with the TLS that its host requires."""

from __future__ import annotations

from typing import Any

import asyncpg

from warouter.config import Settings
from warouter.errors import UntrustedDatabase
from warouter.store.transport import contexts, password_guard, sentences
from warouter.store.transport.modes import Mode, ssl_mode

# What asyncpg would otherwise take from PG* variables and from files in the home directory.
_OUR_OWN = {"direct_tls": False, "krbsrvname": "postgres", "gsslib": "gssapi"}


async def dial(settings: Settings, host: str, port: int, **arguments: Any) -> asyncpg.Connection:
    """Connect to one server; UntrustedDatabase if it cannot be trusted as it must."""
    given: dict[str, Any] = _OUR_OWN | arguments | {"host": host, "port": port}
    mode = ssl_mode(settings, host)
    match mode:
        case Mode.SOCKET:
            return await password_guard.connect(**given, ssl=False)
        case Mode.VERIFIED:
            return await _verified(settings, given)
        case Mode.LOOPBACK | Mode.OFF:
            return await _if_offered(settings, given)


async def _verified(settings: Settings, given: dict[str, Any]) -> asyncpg.Connection:
    context = contexts.context(settings, verified=True)
    try:
        return await password_guard.connect(**given, ssl=context)
    except OSError as error:
        where = f"{given['host']}:{given['port']}"
        if sentence := sentences.untrusted(where, settings.db_ssl_ca, error):
            raise UntrustedDatabase(sentence) from error
        raise


async def _if_offered(settings: Settings, given: dict[str, Any]) -> asyncpg.Connection:
    """In TLS that verifies nothing, or without where the server has or wants none."""
    try:
        return await password_guard.connect(**given, ssl=contexts.context(settings, verified=False))
    except asyncpg.InvalidPasswordError:
        raise
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        return await _as_hostnossl(given, error)
    except OSError as error:
        if not sentences.lacks_tls(error):
            raise
    return await password_guard.connect(**given, ssl=False)


async def _as_hostnossl(
    given: dict[str, Any], refusal: asyncpg.InvalidAuthorizationSpecificationError
) -> asyncpg.Connection:
    """Connect without TLS, as pg_hba.conf may demand; else raise the refusal in TLS."""
    try:
        return await password_guard.connect(**given, ssl=False)
    except asyncpg.InvalidPasswordError:
        raise
    except asyncpg.InvalidAuthorizationSpecificationError:
        raise refusal from None
