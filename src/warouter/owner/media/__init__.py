"""Media of messages, as the owner of their slot sees to them.

A message that names media waits outside its lane until its media is at the upstream; an inbound
message waits, each sender in order, until its media is in the library. Neither holds up a message
without media of another recipient.

    work          the parts together, and the cleaning up
    attachments   outgoing messages between their lane and the upstream
    uploads       media to the upstream: fetched or read, uploaded once, known by its handle
    links         links of outgoing messages, fetched in fair turns
    downloads     media of inbound messages
    late          what of it could not be had at once
    failures      the last that could not be had, for the report
"""
