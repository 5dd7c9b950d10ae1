"""POST /v1/messages: from bytes to an id, a slot and an offer to the slot's owner.

``fastpath`` answers the plain requests, ``handlers`` all others; both parse with ``validate`` and
build the message with ``handlers.outgoing``, so they accept the same. Of the plain ones ``_plain``
takes what nearly all are, texts whose head has come before: it reads the body with ``_scan``, which
accepts less, and never anything else. The body is only read, and travels on as it came, but for
``action`` and ``hsm``.

    handlers      messages and read marks
    fastpath      plain messages past aiohttp's objects
    _plain        compiled: texts with a known head, and the answers of the fast path
    _scan         compiled: the recipient in the JSON of a plain text
    validate      what each type needs beyond its shape
    schema        the shapes
    rules         the small rules that types are made of
    interactive   lists, buttons, products
    action        an action that came as text, as the object that it is
    hsm           the deprecated type as the template that it is
    ttl           how long a message may wait
    idempotency   the header Idempotency-Key
    options       the headers Warouter-In-Doubt and Warouter-Priority
"""
