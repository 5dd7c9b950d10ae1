"""The front door of a webapp: connections of clients, and requests read from bytes.

Clients are strangers, so everything here is bounded: connections in all and from one address, the
size of heads and bodies, and how slowly each of them may come. What a request *means* is the
business of ``api``; this package knows only requests.

The way of a request: a socket is accepted (``edge``, ``net.acceptor``) and let in (``door``). Its
connection reads bytes and finds where one request ends (``connection``, ``server_connection``,
``framing``). A plain message goes to the fast path as a whole, and its answer comes back through
the same connection (``plain`` is the border between the two). Between two requests the fast path
even looks at each read first, since a request that is like the one before need not be read again.
Every other request is given to aiohttp byte for byte, which runs a handler of ``api``; that reads
the body with ``request`` and ``decode`` and answers with ``envelope``. Once a second the door looks
for connections that are too slow (``pace``).

    edge         listening sockets, and a shutdown that resets nobody
    door         who is let in, who is connected, who is too slow
    connection   one client of the API or the console: each request to the fast path or to aiohttp
    server_connection  what any HTTP connection is: a reader of one request at a time
    framing      where a request begins and ends in a client's bytes
    plain        a connection and a fast path, as each sees the other
    verified     whether the installed aiohttp ends its answers as the fast path expects
    pace         how slow, how many and how large a client may be
    request      bodies within their limit, names in paths
    decode       JSON to a Struct, or the error that says what is wrong
    envelope     ``meta``, the resource, ``errors``: the form of every answer
    source       the client's address, also behind a trusted proxy
    rates        token buckets of each user
    meter        requests counted by result and duration

Meta's webhooks come in at a listener of their own, which shares nothing with this door but what
finds requests; what they are answered is decided by ``upstream.cloud.listener``.

    intake       who may connect there, and who has to go; heads refused, bodies handed on whole
"""
