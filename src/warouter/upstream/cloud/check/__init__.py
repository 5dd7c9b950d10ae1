"""Checks the set-up of the Cloud API step by step, for the person who makes it.

``walk`` asks, and each step has a module that judges what was found: pure, with what is wrong and
what to do as sentences. No step changes anything but ``subscribe``, which has to be asked for.

    step        a step and its result
    walk        all steps in their order; which of them can be taken
    asking      a first request, and our own handshake with a callback URL
    contact     what such a request meets: names, certificates, silence
    settings    variables, files, version
    reach       the Graph API, and our clock
    token       the token, and its permissions
    secret      app secrets
    number      the number, and its throughput
    account     the account, and that the number is its own
    webhooks    whether and where webhooks come
    callback    what the callback URL answers to us
    subscribe   another callback URL for the number
"""
