"""Meta's Cloud API as the upstream: v1 messages out as Graph requests, webhooks in as v1 events.

The Graph API knows no epochs and drops no repeats, and its ids are its own. So each request carries
a reference that its statuses echo, and ids are translated in both directions.

    reference    the string that ties a status to a message and an attempt
    outgoing     a v1 message, or read mark, as the body of a request
    objects      the parts of it that take more than a line
    template     which template a message is of
    answers      what the answer to a request says of the message
    meanings     the table of Meta's error codes
    elements     a webhook, taken apart into statuses, messages and errors
    batch        what comes of it
    usual_webhook  the one that nearly always comes, in one pass
    readers      one element
    parties      whom it is about
    statuses     a status in the v1 form
    inbound      an inbound message in the v1 form
    handles      its media
    reported     errors that webhooks report
    lenient      JSON of others, read as far as it goes
    graph/       the client of the Graph API
    check/       whether everything is right, for the person who sets it up
    identity     users of WhatsApp with and without a number, as v1 sees them
    signature    of webhooks, over the bytes as they came
    listener     what webhooks are answered
    secret_text  what the text of a secret may be
    pin          of two-step verification, as it is kept
    secrets      token, app secrets and verify token, from variables or from files that are followed
"""
