"""Parked messages and events, and the looks that bring them back when they are due.

log       the parked rows of one log of each slot, and the looks at them
messages  what of that is of messages (events: see ``owner.callbacks``)
"""
