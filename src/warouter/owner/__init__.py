"""What a coreapp does for the slots it owns.

ownership   beats, leases, opening, closing, handing over
slot        one slot under one epoch: journal positions, lanes, cursors
appender    group commit of messages, acks to webapps
sender      messages to the upstream, answers back
recorder    group commit of progress, and events
callbacks   events to the webhook delivery, parked lanes
"""
