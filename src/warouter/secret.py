"""Secrets in files: each secret variable X is also read from the file that X_FILE names.

Who renews a file needs no restart: it is read again once it looks otherwise. Before the first use a
file that cannot be used is refused. Later it leaves the last value in force and is logged once:
half a file, as an editor may write it, costs nothing.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from warouter.config import api_keys_of
from warouter.errors import ConfigError
from warouter.log import Outage
from warouter.variables import SecretSource

log = logging.getLogger(__name__)

MOST_BYTES = 64 * 1024
MOST_LINES = 8  # each of them may have to be tried
T = TypeVar("T")

_TO_DO = {
    FileNotFoundError: "write the secret there, or correct the path",
    IsADirectoryError: "give the path of a file in it",
    PermissionError: "give the account of this process the right to read it",
}


class Followed(Generic[T]):
    """One secret; ``name`` is its variable, and ``parse`` raises ValueError without showing it.

    ConfigError if it cannot be used at the start.
    """

    def __init__(self, name: str, source: SecretSource, parse: Callable[[str], T]) -> None:
        self._name = name if source.value else f"{name}_FILE"
        self._path = source.path
        self._parse = parse
        self._seen: tuple[int, ...] = ()
        self._outage = Outage()
        try:
            self.value = self._read() if self._path else parse(source.value)
        except (OSError, ValueError) as error:
            where = f"{_place(self._path)}: " if self._path else ""
            raise ConfigError(f"{self._name} cannot be used: {where}{_reason(error)}.") from error

    def now(self) -> T:
        """The value, once the file was looked at."""
        self.refresh()
        return self.value

    def refresh(self, *, anyway: bool = False) -> None:
        """Read the file if it has changed; ``anyway``, also if it seems unchanged."""
        if not self._path:
            return
        try:
            if anyway or look(self._path) != self._seen:
                self._take(self._read())
            self._outage.ends()
        except (OSError, ValueError) as error:
            if self._outage.begins():
                said = {"setting": self._name, "error": _reason(error)}
                log.warning("secret file read failed", extra=said)

    def _take(self, value: T) -> None:
        if value != self.value:
            self.value = value
            log.info("secret changed", extra={"setting": self._name})

    def _read(self) -> T:
        # Looked at before it is read: what is written meanwhile is read again.
        seen = look(self._path)
        value = self._parse(_text(self._path))
        self._seen = seen
        return value

    def __repr__(self) -> str:
        return f"Followed({self._name})"


def lines_of(text: str) -> tuple[str, ...]:
    """The lines that are not blank, as they are: several while a secret is rotated.

    ValueError for what is no text of one to ``MOST_LINES`` lines.
    """
    found = tuple(line for line in text.replace("\r\n", "\n").split("\n") if line.strip())
    if not 0 < len(found) <= MOST_LINES:
        raise ValueError(f"there must be 1 to {MOST_LINES} lines")
    if not all(line.isprintable() for line in found):
        raise ValueError("it has a control character")
    return found


def api_keys(source: SecretSource) -> Callable[[], Sequence[str]]:
    """A source of the API keys of the moment, none if there is none. ConfigError at first."""
    if not source.value and not source.path:
        return tuple
    return Followed("WA_API_KEY", source, api_keys_of).now


def text_of(path: str) -> str:
    """The text of a file that is fit for a secret; ValueError says why not, and what to do."""
    try:
        return _text(path)
    except OSError as error:
        raise ValueError(_reason(error)) from error


def look(path: str) -> tuple[int, ...]:
    """Marks that differ once a file was written, replaced or had its mode changed. OSError."""
    found = os.stat(path)
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def world_readable(path: str) -> bool:
    """True if every account of this machine may read the file; False also if there is none."""
    return _is_open(path, stat.S_IROTH)


def world_writable(path: str) -> bool:
    """True if every account of this machine may write the file; False also if there is none."""
    return _is_open(path, stat.S_IWOTH)


def _is_open(path: str, right: int) -> bool:
    """One that others may use lies safe in a folder that they may not enter."""
    real = Path(os.path.realpath(path))
    try:
        entered = all(folder.stat().st_mode & stat.S_IXOTH for folder in real.parents)
        return entered and bool(real.stat().st_mode & right)
    except OSError:
        return False


_RIGHTS = ((stat.S_IROTH, "read", world_readable), (stat.S_IWOTH, "write", world_writable))


def _text(path: str) -> str:
    """The content of a file that is fit for a secret; OSError, or ValueError with what to do."""
    # A pipe would be waited for, by the whole process.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise ValueError("it is no regular file: give the path of one")
        for right, said, applies in _RIGHTS:
            if mode & right and applies(path):
                raise ValueError(
                    f"everybody on this machine may {said} it: run `chmod o= {path}`, or mount it"
                    " with mode 0440"
                )
        return decoded(file.read(MOST_BYTES + 1))


def decoded(content: bytes) -> str:
    """The text of a secret as it was read; ValueError says what is wrong, and does not show it."""
    if len(content) > MOST_BYTES:
        raise ValueError(f"it is longer than {MOST_BYTES} bytes: give the path of another file")
    if not content.strip():
        raise ValueError("it is empty: write the secret into it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8: write the secret as plain text") from None


def _place(path: str) -> str:
    """A path as an operator finds it, who may not know from where it is looked up."""
    return path if os.path.isabs(path) else f"{path} (in {os.getcwd()})"


def _reason(error: Exception) -> str:
    if not isinstance(error, OSError):
        return str(error)
    said = error.strerror or type(error).__name__
    return f"{said}: {to_do}" if (to_do := _TO_DO.get(type(error))) else said
