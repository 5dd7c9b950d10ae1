from libc.stdint cimport uint8_t, uint64_t

cdef enum:
    ID_SIZE = 20
    ID_LETTERS = 27
    ID_RANDOM = 12

# None of these checks its arguments.
# The slot of 5 to 15 ASCII digits.
cdef int slot_of_digits(const uint8_t* digits, Py_ssize_t size) noexcept nogil
# An id of a slot 0..31, 48 bits of milliseconds and 12 random bytes.
cdef void put_id(uint8_t* at, uint8_t slot, uint64_t now_ms, const char* random) noexcept nogil
# 27 letters of 20 bytes.
cdef void spell_id(const uint8_t* raw, char* letters) noexcept nogil
