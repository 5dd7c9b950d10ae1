PLAIN: int
LOOK: int
NOT_ASCII: int

__test__: dict[str, str]  # Cython puts it into every module

def scan(body: bytes, most: int) -> int: ...
