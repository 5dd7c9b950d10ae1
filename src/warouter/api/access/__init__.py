"""Users, tokens, limits of attempts, and the audit log: who may do what.

Every attempt at a secret goes through ``attempts``: it counts in the database for all webapps
(``store.account.logins``) and costs CPU only when its turn has come (``turns``, ``passwords``).

    auth        the check of each request; login and logout
    tokens      tokens, checked from memory and followed by a counter
    users       /v1/users
    passwords   argon2id in a few threads, and the rule for new passwords
    attempts    checking a secret under the limits
    turns       work that costs CPU, shared fairly
    waits       addresses that must wait, known without asking the database
    two_step    the two-step pin
    audit       which requests leave a row in the audit log
"""
