"""Consumers that go aside, in one log of one slot: the product's decisions in a model's owner.

    disk     what is stored: rows of a journal, the slot's cursor, who is aside
    owner    one epoch: lanes, pages, commits and records around ``warouter.flow.consumers``
    judge    what must be true of the sends, and of the disk after each step
    world    one run: any step comes next, or the owner dies
    report   what many runs came to
    mutants  the protocol without a rule each

An owner's statements are generators: they stop before they reach the disk, and before their answer
is heard, so that everything else, a death included, may come between.

The same seed is the same run. ``make simulate`` has some for each of its seeds;
``python -m tests.campaigns.simulation.aside --help`` runs more, or shows one.
"""
