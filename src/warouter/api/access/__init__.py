"""Users, tokens, keys, limits of attempts, and the audit log: who may do what.

What the console shares of it is in ``warouter.access``.

    auth        the check of each request; login and logout
    caller      whoever makes a request, and what a key of theirs may do
    numbers     the numbers of the installation, and which of them a URL names
    tokens      tokens and keys, checked from memory and followed by a counter
    users       /v1/users
    keys        /v1/keys
    attempts    checking a pin, a key or the API key under the limits
    waits       addresses that must wait, known without asking the database
    two_step    the two-step pin
    audit       which requests leave a row in the audit log
"""
