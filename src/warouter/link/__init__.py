"""The link between webapps and coreapps: messages one way, outcomes the other.

A webapp dials every coreapp that stands in the table of nodes, proves that it knows the key from
that row, and keeps one connection to it. A message goes to the coreapp that owns its slot, and
stays with the webapp until that one answers: it is on disk, or it will not be. After a failover or
a broken connection it is offered again under the same id, so the client sees a pause and no error.
An owner that this webapp cannot reach gets its messages through another coreapp.

A connection is in one state after the other: connected, hellos exchanged, *proved* (both know the
key; from then on each envelope has a MAC), ended. A message is *held*, *offered* once or more, and
ended by one outcome or by its deadline.

The webapp's side calls downwards, and is called back by ``dial`` (``on_ready``, ``on_lost``,
``on_outcome``):

    client       Links: connections kept, messages offered, outcomes taken
    offers       statuses of webhooks, offered to their owners
    pending      the messages that are held, with their bounds; the fast path holds its own there
    ways         which connection leads to the owner of a slot
    detour       which coreapps are not reached, and who relays to them
    dial         one connection to a coreapp, with the webapp's half of the proof

The coreapp's side:

    listen       webapps, with the coreapp's half of the proof; messages go to the owner's appender
    strangers    who has connected and has proved nothing yet
    callers      the certificates of those who may call from other hosts, followed
    pins         whom they let in
    relay        messages for another coreapp, and its outcomes back

Both sides:

    connection   frames out in one write a turn of the loop, envelopes in
    wire         frames and hellos as bytes, and the version that two builds have in common
    address      where a coreapp listens, its key and fingerprint
    credential   the certificate that a process shows to those it dials on other hosts
"""
