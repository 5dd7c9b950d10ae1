"""The demo: a business that sends through a failover and a change of shards, and counts.

``run`` sends (``traffic``, as ``business``), kills an owner and adds coreapps (``scene``), and
waits for the last callback. Then it reports: ``tally`` judges what was acknowledged against what
arrived on both sides, ``gaps`` measures how long slots stood still, ``watch`` what was in doubt.

    demo_command  ``warouter demo``, and its report as a table
    run        the order of a run, and its report
    traffic    recipients, turns, and what was answered
    business   the client of the API, and its webhook
    scene      the cluster as an operator sees it
    seen       what the simulator has on record, by either of its doors
    tally      the judge
    gaps       how long slots stood still
    watch      looks at the messages in doubt
    doubts     how many there were, and how they ended
"""
