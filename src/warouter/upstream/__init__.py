"""The WhatsApp side as warouter sees it: the protocol of messages, and the services beside it.

An owner speaks ``protocol`` over one TCP connection: it claims its slots under their epochs, sends
messages, and acknowledges each event once it is on disk. The newest claim of a slot wins there,
which is why no former owner can send. Webapps and coreapps reach the services over HTTP.

    protocol         frames of the message connection
    client           the connection of a coreapp: claims, sends and acks out; answers and events in
    checks           whether an event can become a callback at all
    broken           what can still be told of a frame that does not decode
    authority        verified-name certificates: issued, and checked
    registration     the registration authority over HTTP
    number_services  who is on WhatsApp, and identities, over HTTP
    media_service    content up for a handle, and down again, over HTTP
    causes           the error codes of v1: what causes each, what to do, and Meta's codes behind it
    cloud            the Cloud API of Meta: its messages, answers and webhooks

``owner`` calls ``client`` and hears of answers and events through ``protocol.UpstreamHandler``;
``api`` calls ``registration`` and ``number_services``; ``owner.media`` calls ``media_service``.
``lab.simulator`` is the other end of all of it.
"""
