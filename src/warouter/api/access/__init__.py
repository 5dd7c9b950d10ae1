"""Users, tokens, limits of attempts, and the audit log: who may do what.

What the console shares of it is in ``warouter.access``.

    auth        the check of each request; login and logout
    tokens      tokens, checked from memory and followed by a counter
    users       /v1/users
    attempts    checking a pin or the API key under the limits
    waits       addresses that must wait, known without asking the database
    two_step    the two-step pin
    audit       which requests leave a row in the audit log
"""
