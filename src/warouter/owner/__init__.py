"""A coreapp's work for the slots it owns: one slot under one epoch, with three logs.

A slot has a log of messages, one of statuses and one of inbound messages. All three are one type,
``flow.log.SlotLog``, and so is what of them is parked (``flow.parking.Parking``). An epoch is
never taken up again once it has ended; the next one reads the journal anew.

The life of an epoch (``cluster.role`` has the table of all events):

    state       begins with                what the owner does            ends with
    OPENING     a beat names the slot      first write, reads positions   opened
    ACTIVE      opened                     appends, sends, delivers       a successor is named
    DRAINING    a successor is named       finishes what is out           handed over
    CLOSED      handed over, or lapsed, fenced, doubted in any state      -

``Ownership.close`` is the one place where an epoch ends. It tells every listener, in the order of
``Ownership.listeners``, which ``node.coreapp`` sets; so do ``opened``, ``recorded`` and ``lapsed``.

Who calls whom, for a message and for an event:

    link -> Appender -> Journal -> Sender -> Backlog -> Lanes -> Sender.pump -> upstream
    upstream -> UpstreamListener (-> Downloads) -> Receipts -> Journal -> CallbackFeed -> Callbacks

and back: an answer goes from UpstreamListener to Sender and Backlog, the end of a POST from
Callbacks to CallbackFeed; both settle a row of a log, and Recorder writes how far the logs are.

Owning:
    slot        one slot under one epoch: its state, its claim, its three logs
    ownership   leases, and what happens when an epoch opens and closes
    beats       beats, and what each asks for
    quiesce     slots that are to move begin no request, where one cannot be told again
    moves       opening, renewing and handing over, beside the beats; when slots were opened
    cloud/      what only the Cloud API needs
    claims      the claim of each slot at the upstream
    listener    who hears of a slot's life, and of beats
    tasks       work that nobody awaits: an unexpected error ends the epoch
    writable    whether the journals can be written

Messages:
    appender    messages from the link into the journal, acks to webapps
    backlog     messages into the lanes: from memory, the journal, the parked table
    asides      paused numbers: they go aside in each slot, and come back
    stopped     what comes up of such a number all the same
    sender      lanes to the upstream, and what becomes of each message by its answer
    expiry      messages that end unsent
    media/      attachments of messages, downloads of inbound media

Events:
    hearing     what the upstream says, to the part that it concerns
    receipts    statuses and inbound messages into their journals, acks to the upstream
    callbacks/  events to the webhook delivery, and what it says of them

All logs:
    commit      group commit: many rows, one commit
    pager       reads a log on
    parked/     takes up what is parked when it is due
    recorder    progress of all logs in one commit
    retention   prunes what is settled and old
"""
