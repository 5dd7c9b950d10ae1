"""Lets in by a name and a password: one way for the API and the console.

Every attempt at a secret counts in the database for all processes together
(``store.account.logins``) and costs CPU only when its turn has come.

    login            a log-in: guard, rule for default passwords, audit
    guard            checks of passwords and pins, under the limits on failed attempts
    passwords        argon2id in a few threads, and the rule for new passwords
    password_queue   work that costs CPU, shared fairly
    names            names of users
    token            tokens and ids of sessions, and their hashes
    key              keys: their form, names, networks and ends
    scopes           what the holder of a key may do
    recorded_action  actions recorded in the audit log, with their outcome
"""
