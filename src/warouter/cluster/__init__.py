"""Everything that decides, and nothing that acts: no clock, no await, no driver, no socket.

A reader who wants to know what happens at a failover starts here:

    membership   ages of beats        -> who is healthy, suspect, dead
    trouble      reports, upstreams   -> who lives and is of no use
    shardmap     shards, coreapps     -> who should own what (assign)
    plan         view                 -> the next shard map, or None
    term         attempts             -> how long a leader may believe in itself
    lease        beats                -> how long an owner may act for a slot
    role         events               -> what an owner of a slot does next
    cursor       settled seqs         -> mark and ranges
    lanes        messages, answers    -> what may be sent now
    delivery     events, answers      -> what may be called back now

``now`` is always a parameter, in seconds of whatever clock the caller has: BOOTTIME for owners and
leaders. Times never cross the database border; ages do.
"""
