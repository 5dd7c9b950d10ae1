"""What is parked, and comes back when its time has come.

log       the parked rows of one log of each slot, and the looks at them
messages  what of that is of messages (events: see ``owner.callbacks``)
"""
