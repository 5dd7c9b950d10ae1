"""The Cloud door of the simulator: Meta's Cloud API, as far as a business sees it.

The simulated WhatsApp is the one behind the native door: numbers, identities, refusals, statuses,
inbound messages, media. This door speaks the Graph API and its webhooks. As Meta does, it never
drops a repeat: two requests are two messages. It can go wrong in every way that its switches list,
and it records what a judge needs.

A request is read by ``graph.connection``, let in by ``graph.routes`` and, if it is a message, goes
its way by ``graph.messages_edge``: ``message`` reads it, ``graph.fate`` draws what becomes of it,
``intake`` takes it under ``limits``, ``statuses`` knows what follows. What is to be told goes
through ``world`` to ``webhooks``. All of these but the connection, the routes and the sender of
webhooks are pure, but for drawn numbers: whole clusters are simulated on virtual time with them.

    server          sockets, the clock, the tick
    facts           the account, the number, the secrets
    graph           the Graph API over HTTP
    webhooks        POSTs to the business
    world           what happens at Meta, without sockets
    message         the body of a request for a message
    intake          whether a message is taken, and what follows
    limits          messages a second, and to one customer
    templates       the templates of the account
    statuses        statuses of messages: when, and in which form
    inbound         messages of customers in Meta's form
    people          numbers, user ids, names
    wamid           ids of messages
    record          what reached this side: for the judge
    counters        the numbers of the record
    columns         the requests of the record, stored in little space
    faults          the switches, and what must hold between them
    graph_faults    those of requests
    webhook_faults  those of webhooks
    control         the control port: inject, look, switch
"""
