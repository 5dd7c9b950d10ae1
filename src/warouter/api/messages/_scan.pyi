__test__: dict[str, str]  # Cython puts it into every module
__pyx_capi__: dict[str, object]  # and this where there is a .pxd with functions

def digits_of(body: bytes) -> str | None: ...
