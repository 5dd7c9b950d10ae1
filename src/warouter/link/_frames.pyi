from collections.abc import Callable
from typing import TypeVar

_M = TypeVar("_M")
_K = TypeVar("_K")

__test__: dict[str, str]  # Cython puts it into every module

def message(
    slot: int,
    epoch: int,
    message_id: bytes,
    kind: int,
    recipient: str,
    body: bytes,
    ttl: int | None = None,
    key: tuple[bytes, bytes] | None = None,
) -> bytes: ...
def read_message(
    frame: memoryview,
    make: Callable[[int, int, bytes, int, str, memoryview, int | None, _K | None], _M],
    make_key: Callable[[bytes, bytes], _K],
) -> _M: ...
def ids(frame: memoryview, start: int) -> list[bytes]: ...
