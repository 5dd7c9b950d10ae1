"""``warouter cloud probe``: what decides the defaults, measured against a real number.

Meta's documents are silent on how late a status comes, what becomes of a request that is cut, and
more (docs/cloud.md, "Not verified"). A run sends messages to the operator's own phones, listens in
place of the webapps, and says what it saw.

    questions   what can be asked, and how many messages each takes
    plan        the dry run, and the bounds of a real one
    bodies      what is sent
    observed    what was seen
    statistics  quantiles and shares
    verdicts    what it says to each question
    table       Markdown and JSON
    arrivals    statuses by their message
    listening   the listener, and webhooks that it does not answer 200
    refusals    what Meta says that ends a run
    lab         what the measurements share: sending, cutting, the clock
    sent        Q1, Q2
    cut         Q3, Q15
    repeated    Q6
    history     Q7
    accepted    Q11, Q12
    run         the order of them
"""
