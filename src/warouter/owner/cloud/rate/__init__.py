"""When the next request may begin.

pace          the number's budget, each recipient's, and what holds the whole number back
brake         one request at a time, while none is taken
strange       refusals that nobody knows: one is its message's end, many in a row are the operator's
number_share  the whole number's rate among the owners, and what is asked beside it
stop          its stop, until an operator has acted
"""
