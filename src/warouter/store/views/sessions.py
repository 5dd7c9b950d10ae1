"""Sessions, logins and links as PostgreSQL shows them to one login. Pure.

A login that is neither a superuser nor a member of pg_read_all_stats is shown the sessions of other
logins with their names only: from where they come, and whether in TLS, it is not told.
"""

from __future__ import annotations

import msgspec

from warouter.cloud_settings import is_loopback


class SessionGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The sessions of one node or program by one login.

    ``role`` and what follows are those of its node row, "" for a program that is no node. ``clear``
    come from another host and not in TLS; of ``unseen`` nothing is known.
    """

    name: str
    login: str
    sessions: int
    clear: int
    unseen: int
    role: str = ""  # webapp, coreapp or master
    version: str = ""
    host: str = ""
    # Whether its row has the fingerprint of a certificate; None if that is not shown.
    pinned: bool | None = False


class DatabaseLogin(msgspec.Struct, frozen=True, kw_only=True):
    """A login with sessions. ``owner``: no superuser, but it may do what the schema's owner may."""

    name: str
    superuser: bool
    owner: bool
    kinds: tuple[str, ...]  # webapp, coreapp, master: whose sessions it has


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """``tls`` is the version of the reading session's own TLS, "" without; ``database_tls`` how the
    reader's variables have each host of WA_DB_HOSTNAME protected.
    """

    login: str
    tls: str
    programs: tuple[SessionGroup, ...]
    logins: tuple[DatabaseLogin, ...]
    database_tls: str = ""

    @property
    def nodes(self) -> list[SessionGroup]:
        """The programs that are nodes of this cluster."""
        return [one for one in self.programs if one.role]

    @property
    def sessions(self) -> int:
        return sum(one.sessions for one in self.programs)

    @property
    def clear(self) -> int:
        return sum(one.clear for one in self.programs)

    @property
    def unseen(self) -> int:
        return sum(one.unseen for one in self.programs)

    @property
    def distant(self) -> list[SessionGroup]:
        """The coreapps with a link that other hosts can reach."""
        return [n for n in self.nodes if n.role == "coreapp" and not is_loopback(n.host)]

    @property
    def shared(self) -> DatabaseLogin | None:
        """The one login of more than one kind of process, if all have the same."""
        used = [login for login in self.logins if login.kinds]
        return used[0] if len(used) == 1 and len(used[0].kinds) > 1 else None
