"""This host: who may read which files, limits, disks, and where the simulator listens."""

from __future__ import annotations

import re
import resource
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from warouter.check import pairs
from warouter.check.facts import FileAccess, Host, values_of
from warouter.cloud_settings import is_loopback
from warouter.config import SECRETS, Settings
from warouter.errors import ConfigError
from warouter.net.route import is_here
from warouter.secret import api_keys, text_of, world_readable, world_writable

ETC = Path("/etc/warouter")
# In a folder of `warouter up`.
_SECRET_NAMES = ("cluster.json", "*.key", "*-key", "*-password", "cloud-*", "emulator-*")
_GIVEN = re.compile(rf"^\s*({'|'.join(SECRETS)})=\S", re.MULTILINE)
_LISTENING = "0A"  # in /proc/net/tcp
_UNLIMITED = 1 << 20


def look(settings: Settings, data_dir: Path | None, etc: Path = ETC) -> Host:
    """Everything that can be known without the database."""
    values = values_of(settings)
    read = pairs.of_files(settings, values)
    secrets = [*_named(settings, values), *_of_folder(data_dir), *_environments(etc)]
    seen = {place.path for place in secrets}
    secrets += [place for place in read.unread if place.path not in seen]
    media = _media(settings)
    folders = [
        *(place(str(path), "--data-dir") for path in _data(data_dir)),
        *([place(str(media), "WAROUTER_MEDIA_DIR")] if media is not None else []),
    ]
    disk = _disk(media)
    return Host(
        secrets=tuple(secrets),
        folders=tuple(folders),
        certificates=tuple(read.certificates),
        api_keys=tuple(_api_keys(settings)),
        simulator_open=tuple(_simulator(settings)),
        console_api_here=_is_here(settings.console_api),
        descriptors=_descriptors(),
        **({} if disk is None else {"media_free": disk[0], "media_size": disk[1]}),
    )


def _is_here(url: str) -> bool:
    try:
        return is_here(urlsplit(url).hostname or "")
    except ValueError:
        return False


def _api_keys(settings: Settings) -> Iterator[int]:
    """How long they are; none of a file that cannot be used, which is another finding."""
    with suppress(ConfigError):
        yield from map(len, api_keys(settings.api_key_source)())


def place(path: str, name: str) -> FileAccess:
    """The rights of other accounts to a file or a folder: by its mode, and by who gets to it."""
    try:
        Path(path).stat()
    except OSError as error:
        return FileAccess(name=name, path=path, problem=error.strerror or type(error).__name__)
    return FileAccess(
        name=name, path=path, readable=world_readable(path), writable=world_writable(path)
    )


def _named(settings: Settings, values: Mapping[str, Any]) -> Iterator[FileAccess]:
    """The files of secrets and of private keys that variables name."""
    for name, path in values.items():
        if name.endswith("_FILE") and path:
            yield _secret(path, name)
    for name, path in settings.private_keys.items():
        yield place(path, name)


def _secret(path: str, name: str) -> FileAccess:
    """Look at a secret file; of one that all may read no more is said, as no process takes it."""
    found = place(path, name)
    if found.problem or found.readable:
        return found
    try:
        text_of(path)
    except ValueError as error:
        return msgspec.structs.replace(found, problem=str(error))
    return found


def _of_folder(folder: Path | None) -> Iterator[FileAccess]:
    if folder is not None:
        for pattern in _SECRET_NAMES:
            for path in sorted(folder.glob(pattern)):
                yield place(str(path), "--data-dir")


def _data(folder: Path | None) -> list[Path]:
    """The folders of a cluster of `warouter up`; the logs may be open where it is not."""
    return [] if folder is None else [folder, *(p for p in [folder / "log"] if p.exists())]


def _environments(etc: Path) -> Iterator[FileAccess]:
    """The environment files that have a secret in them."""
    for path in sorted(etc.glob("*.env")):
        try:
            if _GIVEN.search(path.read_text(errors="replace")):
                yield place(str(path), "environment file")
        except OSError:
            continue  # a file that we cannot read others cannot read either


def _media(settings: Settings) -> Path | None:
    """The folder of media; None as long as nobody has made it, and with a bucket."""
    if settings.media_url:
        return None
    path = Path(settings.media_dir)
    try:
        path.stat()
    except FileNotFoundError:
        return None
    except OSError:
        pass  # ``place`` says why
    return path


def _disk(media: Path | None) -> tuple[int, int] | None:
    """(free, size) in bytes of the disk with media."""
    if media is None:
        return None
    try:
        found = shutil.disk_usage(media)
    except OSError:
        return None
    return found.free, found.total


def _descriptors() -> int:
    """The hard limit: a process raises its own to it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNLIMITED if hard == resource.RLIM_INFINITY else hard


def _simulator(settings: Settings) -> list[str]:
    """Addresses other than loopback at which a simulator on this host listens."""
    host, port = settings.upstream_host_port
    if settings.upstream != "simulator" or not is_loopback(host):
        return []
    return sorted(address for address in listening(port) if not is_loopback(address))


def listening(port: int) -> set[str]:
    """The addresses at which somebody listens on this port; none where the kernel does not say."""
    found = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, state, *_ = line.split()
            address, _, number = local.partition(":")
            if state == _LISTENING and int(number, 16) == port:
                found.add(_address(address))
    return found


def _address(digits: str) -> str:
    """An address of /proc/net/tcp: words of the network in the byte order of this machine."""
    words = [int(digits[i : i + 8], 16) for i in range(0, len(digits), 8)]
    packed = b"".join(socket.ntohl(word).to_bytes(4, "big") for word in words)
    found = ip_address(packed)
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)
