"""The laboratory: what tries the gateway out, and is no part of it.

Only ``cli`` imports it, as it loads its commands by name; the gateway runs without.

    simulator   the stand-in for WhatsApp's servers, by both doors
    demo        a business that sends through a failover, and counts
    probe       what Meta's servers do, measured against a real number
"""
