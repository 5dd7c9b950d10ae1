"""The classes of advisory locks (the first key of the two-key form).

The space is shared by a whole database, so two installations take two databases.
"""

from __future__ import annotations

LEADER = 7701
TERM = 7702
SLOT = 7703
ALIVE = 7704
MIGRATE = 7705
AUDIT = 7706  # in functions audit_add and prune_audit
IDENTITY = 7707  # in function learn_identities

CHANNEL = "warouter"  # NOTIFY: a hint that something named in the payload changed
AUDIT_CHANNEL = "warouter_audit"  # the same for the audit log, by audit_append
