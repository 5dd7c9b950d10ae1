"""Passwords and pins: argon2id in a few threads, and the product's rule for new passwords."""

from __future__ import annotations

import asyncio
import ctypes
import enum
import logging
import secrets
import string
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from warouter.access.password_queue import PasswordQueue
from warouter.errors import ParameterInvalid

log = logging.getLogger(__name__)

T = TypeVar("T")

WORKERS = 2  # for strangers
CALLERS = 1  # for those with a token
WAITING = 32  # in each line
# Of a hash that is checked, whoever wrote it. Ours have 19,456 KiB, 2 passes, 1 lane.
_BOUNDS = (
    ("memory_cost", 1, 65_536),
    ("time_cost", 1, 10),
    ("parallelism", 1, 4),
    ("hash_len", 16, 64),
    ("salt_len", 8, 64),
)
_LEAST, _MOST = 8, 64
_M_MMAP_THRESHOLD, _LARGE = -3, 1 << 20  # malloc.h; bytes
_CLASSES = (
    ("a digit", frozenset(string.digits)),
    ("an upper-case letter", frozenset(string.ascii_uppercase)),
    ("a lower-case letter", frozenset(string.ascii_lowercase)),
    ("a special character", frozenset(string.punctuation)),
)


class AttemptKind(enum.IntEnum):
    """The kind of an attempt, as known before its check; each kind waits in a line of its own."""

    KNOWN = 0  # the user has logged in from there
    CLEAN = 1  # nothing from there has failed lately
    FAILED = 2


def _give_back_large_blocks() -> None:
    """Make glibc return the 19 MiB of each check to the system.

    By default it learns from the first free that such blocks are common and keeps the next in its
    heap for good. Other C libraries have no such call, and no such habit.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)


def _hasher() -> PasswordHasher:
    # OWASP's least parameters; the hash carries them, so that they can be raised later.
    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def _hash_of_nobody() -> str:
    """A hash that no password has, which is checked where there is no user. It is drawn: that of a
    password would take a start as long as a check.
    """
    made = _hasher()
    costs = f"m={made.memory_cost},t={made.time_cost},p={made.parallelism}"
    salt, digest = map(_drawn, (made.salt_len, made.hash_len))
    return f"$argon2id$v={ARGON2_VERSION}${costs}${salt}${digest}"


def _drawn(length: int) -> str:
    """Random bytes as text, as a hash has them."""
    return b64encode(secrets.token_bytes(length)).rstrip(b"=").decode()


class Passwords:
    """Hashes and checks passwords in a few threads, which callers take in turn.

    A check costs about 27 ms and 19 MiB. Strangers have two turns at a time, and three lines of 32
    that wait for them, by their standing; callers with a token have a turn of their own, so that
    no number of strangers keeps an administrator from changing a password.
    """

    def __init__(self) -> None:
        _give_back_large_blocks()
        self._hasher = _hasher()
        self._threads = ThreadPoolExecutor(WORKERS + CALLERS, thread_name_prefix="argon2")
        self._strangers = PasswordQueue(WORKERS, WAITING, len(AttemptKind))
        self._callers = PasswordQueue(CALLERS, WAITING)
        self._nobody = _hash_of_nobody()

    async def hash(self, password: str, whose: str = "") -> str:
        """The argon2id hash in its usual text form; raises TooManyRequests if too many wait."""
        return await self.run(lambda: self._hasher.hash(password), whose)

    async def run(self, work: Callable[[], T], whose: str = "") -> T:
        """Run other work that is as costly, in the caller's turn and in a thread."""
        async with self.callers_turn(whose):
            return await self._in_thread(work)

    async def verify_now(self, password_hash: str | None, password: str) -> bool:
        """True if the password is right. The caller must hold a turn.

        None (no such user) takes as long and is never right.
        """
        given = password_hash or self._nobody
        right = await self._in_thread(lambda: self._check(given, password))
        return right and password_hash is not None

    def strangers_turn(
        self, address: str, name: str, standing: AttemptKind
    ) -> AbstractAsyncContextManager[None]:
        """Wait for a turn to check a password; raises TooManyRequests if too many wait."""
        return self._strangers.turn(address, name, standing)

    def callers_turn(self, whose: str) -> AbstractAsyncContextManager[None]:
        """Wait for a turn as a user with a token. Turns are shared fairly by ``whose``."""
        return self._callers.turn(whose)

    def is_outdated(self, password_hash: str) -> bool:
        """True if the hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _check(self, password_hash: str, password: str) -> bool:
        problem = hash_problem(password_hash)
        if problem is not None:
            log.error("password hash rejected", extra={"reason": problem})
            password_hash = self._nobody
        try:
            return self._hasher.verify(password_hash, password) and problem is None
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def hash_problem(password_hash: str) -> str | None:
    """Why a stored hash must not be used, or None.

    Whoever wrote it chose what a check of it costs: that may be no more than 64 MiB and ten passes.
    """
    try:
        found = extract_parameters(password_hash)
    except ValueError:  # InvalidHashError is one
        return "it is not an argon2 hash"
    if found.type is not Type.ID:
        return "it is not an argon2id hash"
    for name, least, most in _BOUNDS:
        if not least <= getattr(found, name) <= most:
            return f"its {name} is not between {least} and {most}"
    return None


def check_new_password(password: str, path: str) -> None:
    """Raises ParameterInvalid unless it has 8 to 64 characters and at least one of each class."""
    if not _LEAST <= len(password) <= _MOST:
        raise ParameterInvalid(f"{path} must have {_LEAST} to {_MOST} characters")
    for name, members in _CLASSES:
        if members.isdisjoint(password):
            raise ParameterInvalid(f"{path} must have at least {name}")


def draw_password() -> str:
    """A random password that satisfies the rule: a digit, both cases, a special character."""
    letters = string.ascii_letters + string.digits
    return "".join(secrets.choice(letters) for _ in range(16)) + "-aA1"


async def hash_once(password: str) -> str:
    """The hash of a password in a process that has no ``Passwords`` of its own."""
    passwords = Passwords()
    try:
        return await passwords.hash(password)
    finally:
        passwords.close()
