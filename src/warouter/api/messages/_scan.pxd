from libc.stdint cimport uint8_t

cdef enum:
    MOST_DIGITS = 15

# Of a body that ends where its bytes object does, since the NUL behind it ends the scan.
cdef int scanned(const uint8_t* at, Py_ssize_t size, uint8_t* digits) noexcept nogil
