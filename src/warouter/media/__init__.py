"""Media: the content that all nodes share, its rows, and the links that it is fetched from.

Content is stored first and then gets its row, so a row without content means damage and content
without a row is only garbage. Webapps store and serve media; an owner fetches or reads them
when a message that names them has its turn (``owner.media``).

    library        content and its row as one
    storage        what a directory and a bucket promise alike
    choice         which of them the settings choose, and whether it can be used
    staging        content on its way in: counted, hashed, admitted
    directory      the folder: written under another name, fsynced, renamed
    bucket         the bucket: gathered on this host, put at once
    objects        requests to the server of a bucket, their retries and times
    s3_refusals    what such a server said, as a sentence
    types          types, size limits, and content that is not what it says
    references     which media a message names
    fetch          the link of a message: public addresses, bounded size, bounded time
    providers      credentials for such links, and where these may go
    fetch_queue    whose link is fetched next
    inbound_media  media of inbound messages in the v1 form
    received       it is fetched by the upstream's handle, at once or late
    usable         whether the folder can be written, looked at as a process starts
    cleaning       what is old, lost or unfinished
"""
