from collections.abc import Callable
from typing import final
from uuid import UUID

from warouter.api.access.caller import Caller, Realm
from warouter.api.account.registration import OnceRegistered
from warouter.api.messages.fastpath import FastPath
from warouter.errors import ApiError
from warouter.http.framing import Head
from warouter.http.plain import Asking
from warouter.link.client import Links
from warouter.link.wire import Outgoing

__test__: dict[str, str]  # Cython puts it into every module

@final
class Known:
    head: bytes
    length: int
    caller: Caller
    realm: Realm
    number: int
    generation: int
    ends: float
    used: float
    def __init__(
        self,
        head: bytes,
        length: int,
        caller: Caller,
        ends: float,
        realm: Realm,
        generation: int,
    ) -> None: ...

@final
class Message:
    id: bytes
    frame: bytes
    slot: int
    size: int
    deadline: float
    done: Callable[[bytes | ApiError], None]
    epoch: int
    via: UUID | None
    offers: int
    refused: bool

@final
class Plain:
    heads: dict[bytes, Known]
    leaving: bool
    taken: int
    under_way: int
    def __init__(
        self,
        path: FastPath,
        registered: OnceRegistered,
        links: Links,
        admit: Callable[[str], None] | None,
        call_soon: Callable[[Callable[[], None]], object],
    ) -> None: ...
    def remember(self, known: Known, most: int) -> None: ...
    def forget(self, realm: Realm) -> None: ...
    def write(self) -> None: ...

@final
class Client:
    waits: bool
    def __init__(
        self, plain: Plain, connection: Asking, otherwise: Callable[[bytes], None]
    ) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def take(self, head: Head, request: bytes) -> bool: ...
    def ask(self, message: Outgoing, caller: Caller) -> None: ...
    def __call__(self, outcome: bytes | ApiError) -> None: ...
