"""Finds out if this process can do the work of an owner, be it one or a spare."""

from __future__ import annotations

import asyncpg

from warouter.errors import OutcomeUnknown
from warouter.store.journal.inbox import Inbox
from warouter.store.journal.issues import IssueRows


class Fitness(IssueRows, Inbox):
    """Each session that an owner needs is opened and asked to do what it is for, with no rows."""

    async def problem(self, *, requests: bool = False) -> str:
        """Why this process cannot do what an owner does, or "".

        The database says which rights are missing. ``requests``: issue rows and the inbox are an
        owner's work too, as with the Cloud API.
        """
        try:
            if missing := await self._missing():
                return missing
            if requests:
                await self.issue({}, [])
                await self.inbox([], [], 1)
                await self.drained({}, [], [])
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            return str(error) or repr(error)
        return ""
