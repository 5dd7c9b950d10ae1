"""A disk whose cache is lost with its power: a FUSE pass-through to ``backing``.

``python -m tests.campaigns.chaos.volatile BACKING MOUNT``. What is written stands in this process's
memory until its file is fsynced; only then does it reach the folder behind. SIGKILL is the power
cut. Metadata (create, rename, unlink, truncate, modes) passes through at once, so that this tests
the loss of data, not of names. Written in one thread: what it keeps needs no locks.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import stat
import sys
from collections.abc import Callable
from typing import Any

import mfusepy

BLOCK = 8192  # as PostgreSQL writes


class File:
    """One inode: the file behind, and the blocks that only this process's memory holds."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.blocks: dict[int, bytearray] = {}
        self.size = os.fstat(fd).st_size

    def read(self, size: int, offset: int) -> bytes:
        size = min(size, self.size - offset)
        if size <= 0:
            return b""
        if not self.blocks:
            return os.pread(self.fd, size, offset).ljust(size, b"\0")
        first, last = offset // BLOCK, (offset + size - 1) // BLOCK
        whole = b"".join(self._block(n) for n in range(first, last + 1))
        start = offset - first * BLOCK
        return whole[start : start + size]

    def write(self, data: bytes, offset: int) -> None:
        done = 0
        while done < len(data):
            number, start = divmod(offset + done, BLOCK)
            part = data[done : done + BLOCK - start]
            if len(part) == BLOCK:
                self.blocks[number] = bytearray(part)
            else:
                block = self.blocks.setdefault(number, bytearray(self._block(number)))
                block[start : start + len(part)] = part
            done += len(part)
        self.size = max(self.size, offset + len(data))

    def truncate(self, length: int) -> None:
        """Metadata: it reaches the disk at once, and what was written beyond it is gone."""
        os.ftruncate(self.fd, length)
        for number in [n for n in self.blocks if n * BLOCK >= length]:
            del self.blocks[number]
        last = self.blocks.get(length // BLOCK)
        if last is not None:
            last[length % BLOCK :] = bytes(BLOCK - length % BLOCK)
        self.size = length

    def sync(self) -> None:
        """Everything that was written is on the disk now."""
        for number, block in self.blocks.items():
            offset = number * BLOCK
            os.pwrite(self.fd, block[: self.size - offset], offset)
        self.blocks.clear()
        if os.fstat(self.fd).st_size < self.size:
            os.ftruncate(self.fd, self.size)

    def _block(self, number: int) -> bytes | bytearray:
        kept = self.blocks.get(number)
        return (
            kept
            if kept is not None
            else os.pread(self.fd, BLOCK, number * BLOCK).ljust(BLOCK, b"\0")
        )


def _passed(function: Callable[..., None], *, owned: bool = False) -> Callable[..., int]:
    """The same on the folder behind."""

    def call(disk: VolatileDisk, path: str, *arguments: int) -> int:
        function(disk.at(path), *arguments)
        return disk.own(path) if owned else 0

    return call


class VolatileDisk(mfusepy.Operations):  # type: ignore[misc]
    """The file system. Files are known by their inode, so a rename keeps what is in memory."""

    use_ns = True

    def __init__(self, backing: str) -> None:
        self._backing = backing
        self._files: dict[int, File] = {}

    def init(self, path: str) -> None:
        print("mounted", flush=True)

    # data

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        fd = os.open(self.at(path), os.O_RDWR | os.O_CREAT, mode)
        self.own(path)
        return self._known(fd)

    def open(self, path: str, flags: int) -> int:
        return self._inode(path)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return self._files[fh].read(size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        self._files[fh].write(data, offset)
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        self._files[self._inode(path) if fh is None else fh].truncate(length)
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        self._files[fh].sync()
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        return 0

    # metadata

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        found = os.lstat(self.at(path))
        names = ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_size")
        attributes: dict[str, Any] = {name: getattr(found, name) for name in names}
        attributes |= {f"st_{t}": getattr(found, f"st_{t}_ns") for t in ("atime", "mtime", "ctime")}
        if found.st_ino in self._files and stat.S_ISREG(found.st_mode):
            attributes["st_size"] = self._files[found.st_ino].size
        return attributes

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *os.listdir(self.at(path))]

    def readlink(self, path: str) -> str:
        return os.readlink(self.at(path))

    mkdir = _passed(os.mkdir, owned=True)
    mknod = _passed(os.mknod, owned=True)
    rmdir, chmod, chown = _passed(os.rmdir), _passed(os.chmod), _passed(os.lchown)

    def symlink(self, target: str, source: str) -> int:
        os.symlink(source, self.at(target))
        return self.own(target)

    def link(self, target: str, source: str) -> int:
        os.link(self.at(source), self.at(target))
        return 0

    def unlink(self, path: str) -> int:
        gone = os.lstat(self.at(path))
        os.unlink(self.at(path))
        self._forget(gone)
        return 0

    def rename(self, old: str, new: str) -> int:
        gone = None
        with contextlib.suppress(FileNotFoundError):
            gone = os.lstat(self.at(new))
        os.rename(self.at(old), self.at(new))
        if gone is not None:
            self._forget(gone)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        os.utime(self.at(path), ns=times, follow_symlinks=False)
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self.at(path))
        names = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree")
        return {name: getattr(found, name) for name in (*names, "f_favail", "f_namemax")}

    # behind

    def at(self, path: str) -> str:
        return self._backing + path

    def _inode(self, path: str) -> int:
        inode = os.stat(self.at(path)).st_ino
        if inode not in self._files:
            self._known(os.open(self.at(path), os.O_RDWR))
        return inode

    def _known(self, fd: int) -> int:
        inode = os.fstat(fd).st_ino
        if inode in self._files:
            os.close(fd)
        else:
            self._files[inode] = File(fd)
        return inode

    def _forget(self, gone: os.stat_result) -> None:
        if gone.st_nlink <= 1 and (file := self._files.pop(gone.st_ino, None)) is not None:
            os.close(file.fd)

    def own(self, path: str) -> int:
        """Root serves, PostgreSQL runs as another account: what it makes is its own."""
        uid, gid, _ = mfusepy.fuse_get_context()
        if os.geteuid() == 0:
            os.lchown(self.at(path), uid, gid)
        elif uid != os.geteuid():
            raise OSError(errno.EPERM, "another account")
        return 0


def main(backing: str, mount: str) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    others = {"allow_other": True} if os.geteuid() == 0 else {}
    mfusepy.FUSE(
        VolatileDisk(backing), mount, foreground=True, nothreads=True, default_permissions=True,
        **others,
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
