"""Delivery of events to the business's webhook.

The owner of a slot adds its events in order (``Callbacks.add``), and hears of the end of each one:
settled, to be parked, or dead. In between an event *waits* in the lane of its recipient, is *out*
in the batch of one POST, and after a failure it is *under suspicion* until it has been found
innocent or has failed alone. Statuses and inbound messages never share a POST, a queue or a
breaker: some receivers refuse every status.

    callbacks    the clock, and what an answer means for the owner
    owner        whose leases are asked, and who records the end of every event
    places       how many POSTs are under way, and which kind may have the next
    post         one POST: URL, TLS, time-outs, its result
    exchange     a request and its answer on a connection of aiohttp's
    post_record  counters, the last failures, the last hour
    trial        a test callback
    queue        what goes into a POST, its JSON, and what its failure means for the events
    lane_queues  which lanes are drawn from next
    lane         the events of one recipient, and the lanes of all slots
    breaker      whether the receiver is worth a POST, and how long an event is tried
    shown        which events the application's settings let the webhook see

``callbacks`` calls all others but ``trial``, which ``owner.callbacks.feed`` begins; ``queue`` calls
``lane_queues`` and ``lane``. Nothing but ``callbacks``, ``post``, ``exchange``, ``post_record`` and
``trial`` has a clock or a socket.
"""
