"""Checks an installation for what is open, unverified, readable, old or too small.

Facts in, findings out: ``gather`` asks the host and PostgreSQL, and each rule is a pure function of
what was found. A rule has a name that never changes, since monitoring goes by it;
docs/monitoring.md has a table of them.

    finding            a finding, its level, the exit code of several
    facts              what was found out
    rules              all rules, and what they say of the facts
    encryption         rules: what crosses a network without TLS
    verification       rules: peers that are not verified, networks that are too wide
    logins             rules: logins of PostgreSQL, passwords of the API
    files              rules: secrets and data that others can read
    certificates       rules: certificates that end, or do not work
    releases           rules: versions with known faults, and versions that do not fit together
    sizes              rules: what is too small, and settings that put messages at risk
    postgres_version   releases of PostgreSQL with a published security hole
    gather             asks everybody
    host               files, limits and listening sockets of this host
    pairs              certificates, read
"""
