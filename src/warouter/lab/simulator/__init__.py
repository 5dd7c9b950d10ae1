"""The stand-in for WhatsApp's servers, and the oracle of the tests.

It takes messages under claims, answers them, sends statuses and inbound messages, and does wrong
whatever its switches say. It remembers what reached it, so a test or the demo can hold that against
what clients were told. The state is in memory; a restart forgets which ids were taken.

A frame comes in at ``server`` and is judged by ``exchange``, which has no sockets and no clock.
For a message that asks ``fence`` whether its claim holds, then ``intake`` what becomes of it, which
asks ``refusals``; ``statuses`` says what follows later. ``events`` keeps what a slot has for its
claimant until it is acknowledged. Answers leave with everything else of one turn of the loop.

    server            sockets, the clock, the tick
    exchange          frames of peers in, frames to peers out
    fence             who may act for a slot
    refusals          why a message is refused for good
    intake            what becomes of a message that passed the fence
    statuses          which statuses a message gets, and when
    events            the events of one slot on their way to its claimant
    broken            frames that no owner can read, made on purpose
    inbound           messages of customers, of every type
    shapes            what the object of each of those types must have
    identity          the keys of customers
    number_authority  registration codes and two-step pins
    record            what reached this side: for the judge
    behaviour         the switches that both doors have
    faults            the switches of the native door
    control           the control port: inject, look, switch
    guard             who may ask a port that has no password
    services          contacts, registration and media, over HTTP
    simulator_command   ``warouter simulator``
    control_commands  its control port by hand
    switches          the fault switches on a command line
    cloud             the second door: Meta's Cloud API
"""
