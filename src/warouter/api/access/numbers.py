"""The numbers of the installation in memory, and which of them a request is for.

A token or key says it at whatever URL. Where there is none, as at a log-in, the path does
(/n/NAME/v1/...), else the name of the host, else it is number 1. ``tokens`` keeps the rows up to
date.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from warouter.cloud_number import FIRST
from warouter.errors import NotFound
from warouter.store.account.accounts import NumberRow

REMOVED = "removed"


class Numbers:
    """The rows of the numbers, by id, name and host."""

    def __init__(self) -> None:
        self._rows: dict[int, NumberRow] = {}
        self._by_name: dict[str, NumberRow] = {}
        self._by_host: dict[str, NumberRow] = {}

    @property
    def known(self) -> bool:
        """True once the rows were read."""
        return bool(self._rows)

    def keep(self, changed: Iterable[NumberRow], *, others: bool) -> bool:
        """Take rows that have changed, with ``others`` beside those that are kept; True if a host
        is another number's now, or nobody's.
        """
        before, rows = self._by_host, self._rows if others else {}
        rows = rows | {row.id: row for row in changed}
        if rows == self._rows:
            return False
        self._rows = rows
        self._by_name = {row.name: row for row in self._rows.values()}
        self._by_host = {row.host: row for row in self._rows.values() if row.host is not None}
        return self._by_host != before

    def prefix_of(self, number: int) -> str:
        """The name that precedes a user's in logs, that of the number; "" for number 1."""
        row = self._rows.get(number)
        return "" if number == FIRST or row is None else row.name

    def stated(self, name: str, host: str) -> int | None:
        """The number that path or host of a request names, the path before the host; None if
        neither does. A host that no number has names none, and X-Forwarded-Host is not asked: a
        proxy passes Host on, or uses the path.

        Raises NotFound for a path of no number, and for one that was removed.
        """
        row = self._by_name.get(name) if name else self._of_host(host)
        if row is None and not name:
            return None
        if row is None or row.state == REMOVED:
            raise NotFound("there is no such number")
        return row.id

    def contradicts(self, number: int, name: bytes, host: bytes) -> bool:
        """True if the path or the host of a request is not for this number, or for none at all."""
        if not name and not self._by_host:
            return False
        try:
            return self.stated(name.decode(), host.decode("latin-1")) not in (None, number)
        except NotFound:
            return True

    def _of_host(self, field: str) -> NumberRow | None:
        return self._by_host.get(_host_of(field)) if self._by_host else None


def number_named(request: web.Request) -> str:
    """The name of the number that the path of a request had before the connection cut it off; ""
    without one.
    """
    name: str = getattr(request.protocol, "number", "")
    return name


def _host_of(field: str) -> str:
    """The name in a Host field, in small letters and without the port."""
    return field.partition(":")[0].lower()
