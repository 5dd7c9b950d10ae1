"""Media: the files that all nodes share, their rows, and the links that they are fetched from.

A medium is written to a file first and then gets its row, so a row without a file means damage and
a file without a row is only garbage. Webapps store and serve media; an owner fetches or reads them
when a message that names them has its turn (``owner.media``).

    library      a file and its row as one
    directory    the folder: written under another name, fsynced, renamed
    types        types, size limits, and content that is not what it says
    references   which media a message names
    fetch        the link of a message: public addresses, bounded size, bounded time
    providers    credentials for such links, and where these may go
    turns        whose link is fetched next
    inbound      media of inbound messages in the v1 form
    usable       whether the folder can be written, looked at as a process starts
    cleaning     what is old, lost or unfinished
"""
