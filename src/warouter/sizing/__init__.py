"""How large a cluster must be: by what a message was measured to cost. Pure.

plan       processes and machines for a rate
costs      what a message costs, and where it was measured
original   what the original product needed, by its own tables
"""
