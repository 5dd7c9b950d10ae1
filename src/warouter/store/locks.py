"""The classes of advisory locks (the first key of the two-key form), and the channels of NOTIFY.

The space is shared by a whole database, so two installations take two databases. SQL functions
alone take 7702 (the term), 7703 (a slot), 7706 (the audit log), 7707 (identities) and 7708 (ids
that the Cloud API gave).
"""

from __future__ import annotations

LEADER = 7701
ALIVE = 7704
MIGRATE = 7705

CHANNEL = "warouter"  # NOTIFY: a hint that something named in the payload changed
AUDIT_CHANNEL = "warouter_audit"  # the channel of the audit log, by audit_append
