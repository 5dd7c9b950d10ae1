"""Membership, placement and terms: everything that decides who owns what, and nothing that acts.

No clock, no await, no driver, no socket. A reader who wants to know what happens at a failover
starts here:

    beats        counters of beats    -> whose beats go on
    membership   ages of beats        -> who is healthy, suspect, dead
    trouble      reports, upstreams   -> who lives and is of no use
    shardmap     shards, coreapps     -> who should own what (assign)
    quiesce      marked slots         -> which move may go on
    plan         view                 -> the next shard map, or None
    term         attempts             -> how long a leader may believe in itself
    patience     commits              -> how long a leader waits for the next one
    lease        beats                -> how long an owner may act for a slot
    role         events               -> what an owner of a slot does next
    preview      map, coreapps        -> what another number of shards would move
    moves        the owner log        -> what moved, why, and who owned what at a time

The master asks ``membership``, ``trouble`` and ``plan`` at each poll (``node.master``); an owner
asks ``lease`` and ``role`` (``owner.ownership``); a webapp has ``shardmap`` and ``beats``
(``node.mapview``).

``now`` is always a parameter, in seconds of whatever clock the caller has: BOOTTIME for owners and
leaders. Times never cross the database border; ages do.
"""
