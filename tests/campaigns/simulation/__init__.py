"""Whole clusters in one thread: the real code on virtual time, under faults drawn from a seed.

    loop        virtual time; an event loop for each process of the cluster
    network     links that clog, connections over them, dials
    tables      what PostgreSQL stores, and its functions as store/schema/functions has them
    owners      the same of owners, nodes and leaders
    journals    the rows of one journal, settled and parked
    plays       the same calls on the tables and on a real PostgreSQL, compared
    locks       advisory locks with their queues
    server      PostgreSQL: sessions, statements that are late, lost, stalled, restarts
    driver      what stands in for asyncpg's connection
    upstream    the WhatsApp side
    webhook     the business, behind the product's own delivery
    nodes       processes: coreapps, masters, webapps with their clients
    faults      what goes wrong, and when it is over: processes, links, the whole of the database
    nemeses     the same of clocks, single statements, the disk, single answers
    kinds       which faults are drawn, and how often
    seams       sizes and times made small, by seed
    history     what happened: the kit's history, with a trace
    judge       what the database and the processes look like in the end, for the invariants
    world       one run
    aside       consumers that go aside: one log of one slot, around the product's own decisions

The same seed is the same run, bit for bit.
``python -m tests.campaigns.simulation --help`` runs many.
"""
