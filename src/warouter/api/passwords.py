"""Passwords and pins: argon2id in at most two threads, and the product's rule for new ones."""

from __future__ import annotations

import asyncio
import ctypes
import string
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from secrets import token_urlsafe
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from warouter.errors import ParameterInvalid, TooManyRequests

T = TypeVar("T")

WORKERS = 2
WAITING = 32
_LEAST, _MOST = 8, 64
_M_MMAP_THRESHOLD, _LARGE = -3, 1 << 20  # malloc.h; bytes
_CLASSES = (
    ("a digit", frozenset(string.digits)),
    ("an upper-case letter", frozenset(string.ascii_uppercase)),
    ("a lower-case letter", frozenset(string.ascii_lowercase)),
    ("a special character", frozenset(string.punctuation)),
)


def _give_back_large_blocks() -> None:
    """Have glibc map the 19 MiB of a check anew each time, and unmap them after it.

    By default it learns from the first free that such blocks are common and keeps the next in its
    heap for good. Other C libraries have no such call, and no such habit.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)


class Passwords:
    """One check costs about 27 ms and 19 MiB: two at a time, 32 may wait, the rest get 429."""

    def __init__(self) -> None:
        _give_back_large_blocks()
        # OWASP's least parameters; the hash carries them, so that they can be raised later.
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="argon2")
        self._free = asyncio.Semaphore(WORKERS)
        self._under_way = 0
        self._nobody = self._hasher.hash(token_urlsafe())

    async def hash(self, password: str) -> str:
        """The argon2id hash in its usual text form. TooManyRequests if too many wait."""
        return await self.run(lambda: self._hasher.hash(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is right; None (no such user) takes as long and is never right."""
        async with self.turn():
            return await self.verify_now(password_hash, password)

    async def verify_now(self, password_hash: str | None, password: str) -> bool:
        """As ``verify``, by a caller whose turn it is."""
        given = password_hash or self._nobody
        right = await self._in_thread(lambda: self._check(given, password))
        return right and password_hash is not None

    async def run(self, work: Callable[[], T]) -> T:
        """Do other work that is as costly, in its turn and in a thread."""
        async with self.turn():
            return await self._in_thread(work)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one of the two turns; TooManyRequests at once if 32 wait already."""
        if self._under_way >= WORKERS + WAITING:
            raise TooManyRequests("too many passwords are being checked, try again later")
        self._under_way += 1
        try:
            async with self._free:
                yield
        finally:
            self._under_way -= 1

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _check(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def check_new_password(password: str, path: str) -> None:
    """ParameterInvalid unless it has 8 to 64 characters and one at least of each class."""
    if not _LEAST <= len(password) <= _MOST:
        raise ParameterInvalid(f"{path} must have {_LEAST} to {_MOST} characters")
    for name, members in _CLASSES:
        if members.isdisjoint(password):
            raise ParameterInvalid(f"{path} must have at least {name}")
