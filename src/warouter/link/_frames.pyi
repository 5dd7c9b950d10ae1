from collections.abc import Mapping
from typing import Any, Protocol, final

from typing_extensions import disjoint_base

__test__: dict[str, str]  # Cython puts it into every module

_Key = tuple[bytes, bytes]

@final
class Message:
    seq: int
    aside: bool
    owned: Any
    origin: Any
    def __init__(
        self,
        slot: int,
        epoch: int,
        id: bytes,
        kind: int,
        recipient: str,
        body: bytes | memoryview,
        ttl: int | None = None,
        key: _Key | None = None,
        number: int = 1,
        seq: int = 0,
    ) -> None: ...
    @property
    def slot(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def id(self) -> bytes: ...
    @property
    def kind(self) -> int: ...
    @property
    def recipient(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def lane(self) -> str: ...
    @property
    def ttl(self) -> int | None: ...
    @property
    def key(self) -> _Key | None: ...
    @property
    def body(self) -> memoryview: ...
    @property
    def size(self) -> int: ...
    def leave(self) -> tuple[Any, Any]: ...

class _Seqs(Protocol):
    def take_seq(self) -> int: ...

@disjoint_base
class Gate:
    slot: int
    epoch: int
    accepts: bool
    appending: int
    messages: Any
    def __init__(self, slot: int, epoch: int, messages: _Seqs) -> None: ...

def message(
    slot: int,
    epoch: int,
    message_id: bytes,
    kind: int,
    recipient: str,
    body: bytes,
    ttl: int | None = None,
    key: _Key | None = None,
    number: int = 1,
) -> bytes: ...
def read(packed: bytes | memoryview) -> tuple[list[Message], list[memoryview]]: ...
def admit(
    messages: list[Message],
    gates: Mapping[int, Gate],
    origin: object,
    queue: list[Message],
    most: int,
    room: int,
) -> tuple[int, list[Message]]: ...
def columns(messages: list[Message]) -> tuple[Any, ...]: ...
def landed(
    batch: list[Message],
) -> tuple[dict[tuple[Any, int], list[bytes]], dict[Any, list[Message]]]: ...
def ids(frame: memoryview, start: int) -> list[bytes]: ...
