# The number of slots, for the compiled modules. A stored format: it never changes.
cdef enum:
    _SLOTS = 32
