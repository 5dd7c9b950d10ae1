"""Decisions about the order in which a slot's rows go; nothing here sends or stores. Pure.

A slot's journal is a log with positions. The *cursor* says how far it is settled; a *lane* lets one
message of a number to a recipient out at a time, and the *window* bounds how many of a slot are
out; lanes whose next message must wait long are *parked*: they leave their place to others. A
*consumer*, whoever takes rows of a number, goes *aside* where it cannot keep up: the cursor passes
over them.

    cursor     how far a log is settled: a mark, and settled ranges beyond it
    lanes      what may be sent now: lanes and the window
    parking    the lanes that are parked, and what happens with the rows of each
    lane_key   the key of a lane: of a number and a recipient
    log        one log of a slot: what is on disk, in memory, settled
    aside      a consumer that cannot keep up: its own rows in a log, and how far they are settled
    consumers  who takes a row of a log in FLOW, and who has it aside
    event      an event of a slot, from the upstream's frame to the POST
    progress   what the next record says of a log
    posts      what came of the POSTs: the last failures, and the last hour

With the Cloud API the number has a rate, and nobody repeats what may have been taken:

    share     how much of the number's rate each owner may use, with how many connections
    budget    when an owner may begin its next request
    turns     whose head goes next, of all slots of an owner
    pairs     how often one recipient may be written to
    issues    the requests of a slot that may be out, or may have been taken
    doubt     what becomes of a message whose request may have been taken
    windows   how long it waits
    causes    why it is in doubt, in one word
    proof     whether webhooks provably reach us, so that this wait says something
    recent    messages that were taken lately, and what was shown of them
    statuses  which statuses of a message v1 hears, whatever comes

``aftermath`` counts what came of requests that were answered with an error of Meta's own, and
decides nothing.

``owner`` asks before each send and tells what became of it.
"""
