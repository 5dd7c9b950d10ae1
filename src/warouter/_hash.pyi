from typing import Final

from typing_extensions import Buffer

__test__: dict[str, str]  # Cython puts it into every module

SLOTS: Final[int]
SHARD_COUNTS: Final[tuple[int, ...]]
HASH_NAME: Final[str]
HASH_VERSION: Final[int]

def hash64(recipient: str) -> int: ...
def slot_of(recipient: str) -> int: ...
def shard_of(recipient: str, shards: int) -> int: ...
def route(recipients: list[str], shards: int, out: Buffer) -> None: ...
