"""The part of an owner for the Cloud API, which cannot tell a repeated request from a new one.

A request has an issue row on disk before it begins, and what its answer leaves open is a doubt that
evidence ends, or the policy after its window. What is decided is decided in ``flow``.

    sender            messages of the lanes: issued, begun, and what their answers say
    parts             what both work with
    requests          each from its issue row to what its answer means
    issuer            issue rows in batches
    priority_backlog  messages with priority that memory has no place for
    carryover         requests of an ended epoch, as far as this process knows, for the next one
    lookups           ids and users that a message names, the identity that it is meant for
    rate              when the next request may begin; shares of the whole number's rate, its stops
    doubts            tells the machine what happens to a message, and does what it says
    finds             messages whose rows are read, into memory
    looks             time, told to messages in doubt
    hearsay           evidence and words, told to them
    doubt_rules       how each is treated
    proving           whether webhooks provably come in
    drain             the inbox into the journals, and what it proves
    readings          how far it was read
    acks              what is in the journals is deleted there
    straight          statuses that webapps hand over without the inbox
    straight_answers  what those webapps are told, once it is on disk
    rows              each row of it: an event, evidence, a word
    asking            questions for which nobody waits
    learned_users     whose number an answer shows, and who cannot be reached
    reservation       which messages of a commit have their issue row in it
    inbox_words       what is heard of a request whose slot is another's by now
    facts             what one owner asks Meta for all
"""
