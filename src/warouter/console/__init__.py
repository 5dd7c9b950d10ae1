"""The web console: what the command line shows, as pages, and its acts, as forms.

A role of its own, off the hot path: it carries no message and may be stopped at any time. It reads
PostgreSQL through the functions of ``store`` that the command line uses, and acts through them and
through the v1 API. Pages are made here, on the server: they are readable without a script, and a
script only keeps them up to date.

The way of a request: ``app`` judges its host, its origin and its session (``guard``, ``session``),
reads what its page shows, and renders it. The part of a page that changes is streamed: one reading
a second serves all who look at the same (``feed``, ``stream``). A form is an act: audited before
and after, and answered by a redirect to the page that says how it ended.

    app       routes, sessions, errors
    page      what a page and an act are
    visit     what comes with a request, and what goes back
    form      the fields of a form
    context   what they need from their process
    guard     hosts, origins and header fields
    session   the cookie, and who stands behind it
    login     log in, log out, the first password
    render    templates to text
    static    the files of a page, by the hash of their content
    words     what is said where the application gives no answer
    feed      readings shared by all who look at the same
    stream    server-sent events
    latest    what several pages read, once a second at most
    timeline  the steps of a message in words
    spared    what is read less often, and what was revealed for a minute
    verdict   is all well, and if not, why
    series    some hours of metrics, for charts
    simulator  the control port of the simulator, if there is one
    api       the v1 API, called in the name of a visitor
    pages     one module a page
"""
