"""The journals of slots: messages out, events in; all fenced by (slot, epoch, incarnation).

An outcome that is not known raises OutcomeUnknown; the caller then goes on under a new epoch only
(``renew``). One topic a file:

sessions   the database sessions, and the fence of every write
rows       messages as they are read back, and where a slot's journals stand
outcome    what became of a row, and the bisection of a batch with a bad one
messages   messages into the journal and back
events     statuses and inbound messages into their journals and back
parked     what is parked, and dead letters that are asked for
progress   cursors and changes of what is parked, in one commit
endings    ends of messages: their statuses, and the progress that settles them
issues     requests to the Cloud API that may be out or taken
inbox      what its webhooks brought, and what that proves
names      ids and users of the Cloud API by ours, and back
proofs     whether webhooks come in
fitness    whether this process can do all that
slots      epochs are opened, renewed, given away; what is old is pruned
"""

from __future__ import annotations

from warouter.store.journal.endings import Endings
from warouter.store.journal.fitness import Fitness
from warouter.store.journal.issues import IssueRequest, StoredIssue
from warouter.store.journal.messages import Messages
from warouter.store.journal.names import CloudNames
from warouter.store.journal.outcome import (
    APPENDED,
    CLASHED,
    FENCED,
    KNOWN,
    PROVEN,
    REFUSED,
    UNKNOWN,
    Already,
    Exceptions,
    Outcome,
    RowOutcome,
)
from warouter.store.journal.parked import ParkedRows
from warouter.store.journal.progress import SlotProgress
from warouter.store.journal.proofs import Proofs
from warouter.store.journal.rows import Opened, ReadRow, Stretch
from warouter.store.journal.slots import Epochs

__all__ = (
    "APPENDED",
    "CLASHED",
    "FENCED",
    "KNOWN",
    "PROVEN",
    "REFUSED",
    "UNKNOWN",
    "Already",
    "Exceptions",
    "IssueRequest",
    "Journal",
    "Opened",
    "Outcome",
    "ReadRow",
    "RowOutcome",
    "SlotProgress",
    "StoredIssue",
    "Stretch",
)


class Journal(Messages, Endings, ParkedRows, Fitness, CloudNames, Proofs, Epochs):
    """The journals, with the writes that one incarnation may make."""
