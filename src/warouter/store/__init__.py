"""PostgreSQL: the only state that processes share, and the root of trust.

SQL stands beside the call it serves. Writes for a slot are fenced by (slot, epoch, incarnation):
the database refuses them to a former owner. An error of a write means one of two things:
``OutcomeUnknown``, it may or may not have happened, so the slot goes on under a new epoch only; or
a PostgresError, it was refused and did not happen.

Connections, from the ground up:

    servers           the server of several that takes writes, the password that it takes
    server_settings   settings that a promise depends on, asked for and verified
    database          connections and pools, statements with a time limit, hints by NOTIFY
    bounded           a connection of a webapp's pool for one call
    cached_reading    a reading that all share who ask within some seconds
    aside             sessions for what may wait, so that no write of a slot waits behind it
    transport         TLS to a server, and what its password is shown to
    arrays            whole columns to and from PostgreSQL's arrays
    locks             classes of advisory locks
    migrations        the steps of the schema
    migrate           their application, in order and once

What the cluster shares:

    nodes             nodes, the shard map, requests to change it
    upstream          which upstream the database has, and how it gets another
    beats             the session by which a process shows that it lives
    election          the leader's session: lock, lease and pen in one connection
    reports           what each process says of itself

What a slot's owner writes and reads:

    journal           messages, events, cursors, what is parked, dead letters: all of it fenced
    dead_letters      letters as an operator sees them
    operator_word     an operator's word on messages in doubt or held
    history           how long finished things are kept

What the API writes:

    audit             the audit log
    refusal_sums      refusals on their way there, summed
    media             rows of media files

``cloud`` has what the Cloud API needs, ``account`` users and settings, ``views`` what consoles
show, ``roles`` the logins of processes, ``schema`` the SQL of each table and function.
"""
