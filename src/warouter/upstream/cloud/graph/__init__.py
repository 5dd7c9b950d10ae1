"""The client of the Graph API.

A request can be taken once it has left this host, and nothing takes it back. So messages go by
sockets of our own, of which it is known when each byte left: a request begins while its owner's
lease holds, or not at all, and nothing is left behind that could go out later.

    response        one answer of HTTP/1.1, read strictly
    wire            one connection, which carries one request at a time
    connections     the pool of them
    exchange        one message out, and what is known of it then
    marketing       which messages go to the edge for marketing templates
    calls           all other calls, which may be repeated
    number_calls    what there is to know of the number, and the categories of templates
    profile_calls   what customers see of the business, and uploads for it
    failed          how calls fail
    described       the token, the number and its webhooks, as Meta describes them
    account_calls   the account, and our number of it: who hears webhooks, and where
    fields          fields of answers, whatever they hold
    template_calls  the account's templates: all of them, a new one, one less
    app_calls       what there is to know of the token, and of its app
    health          what limits the number, or keeps it from sending
    media_calls     content up for an id, and down again
    client          requests of the owner of slots, and their answers; claims
    reach           what was heard of the Graph API: whether this coreapp is cut off from it
    recovery        words between coreapps about that, and the question of one that does not know
"""
