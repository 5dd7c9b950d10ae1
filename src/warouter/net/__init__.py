"""Sockets: accepting them, looking names up, where outgoing ones may go, noticing silence.

    acceptor   listening sockets: each connection is counted before its TLS handshake
    answering  the health of this process, told to whoever of this host asks
    egress     where outgoing HTTP may connect, checked at each connection
    health     asking the processes of this host, without a loop
    names      names that clients chose, looked up in threads of their own
    route      the address of this host on the route to another one
    sockets    TCP options that make a silent peer noticed, and what the kernel knows of a socket

``http`` and ``link`` accept with ``acceptor``; ``webhook`` and ``media`` go out by ``egress`` and
``names``, since a URL of theirs was written by somebody else.
"""
