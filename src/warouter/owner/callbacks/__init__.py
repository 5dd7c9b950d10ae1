"""From the journals of events to the webhook, and back.

feed      events to ``webhook.callbacks``, and what it says of them: settled, parked, given up
events    one kind of events: committed, read back, parked, taken up
letters   dead letters that an operator asked for
"""
