from collections.abc import Sequence
from typing import Any, Self, final

__test__: dict[str, str]  # Cython puts it into every module

@final
class ArrayCodec:
    def __new__(cls, element: str) -> Self: ...
    def encode(self, column: Sequence[Any]) -> bytes: ...
    def decode(self, data: bytes) -> list[Any]: ...
