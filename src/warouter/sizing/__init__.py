"""How large a cluster must be for a rate, by what a message was measured to cost. Pure.

A plan carries its rate with every process and every core at 70 % of what it can do, and still when
one machine of three is gone: the coreapps that are left own its shards as well.

    costs     the cost of a message's life, by either upstream
    capacity  the rate that the upstream and processes of one kind carry
    plan      the cluster for a rate
    cloud     what the Cloud API adds to it: connections, webhooks, the number's level
    original  the needs of the original product

``docs/scaling.md`` shows the costs in a table; ``docs/benchmarks.md`` has the runs. Whoever
measures anew changes them in ``costs``, and a test says which lines of ``docs/scaling.md`` have to
follow.
"""
