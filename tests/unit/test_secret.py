"""The one rule of secrets: X or X_FILE, what a file must be, and that none is ever shown."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from warouter.config import SECRETS, Settings, api_keys_of, load
from warouter.errors import ConfigError
from warouter.secret import MOST_BYTES, Followed, lines_of, world_readable
from warouter.variables import GROUPS, SecretSource

HIDDEN = "hidden-0123456789"
CLOUD = {
    "WAROUTER_UPSTREAM": "cloud",
    "WAROUTER_CLOUD_PHONE_NUMBER_ID": "1",
    "WAROUTER_CLOUD_WABA_ID": "2",
    "WAROUTER_CLOUD_TOKEN": "a",
    "WAROUTER_CLOUD_APP_SECRET": "b",
    "WAROUTER_CLOUD_VERIFY_TOKEN": "c",
}


def followed(path: Path) -> Followed[tuple[str, ...]]:
    return Followed("WA_X", SecretSource(path=str(path)), lines_of)


def written(path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path.touch(0o600)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def test_secret_variables_are_declared() -> None:
    """A new variable that is one is declared by ``Group.secret``."""
    assert set(SECRETS) == {
        "WA_DB_PASSWORD",
        "WA_API_KEY",
        "WAROUTER_CLOUD_TOKEN",
        "WAROUTER_CLOUD_APP_SECRET",
        "WAROUTER_CLOUD_VERIFY_TOKEN",
        "WAROUTER_MEDIA_S3_SECRET_KEY",
    }
    names = [variable.name for group in GROUPS for variable in group.variables]
    words = ("PASSWORD", "API_KEY", "TOKEN", "SECRET")
    telling = {name.removesuffix("_FILE") for name in names if any(w in name for w in words)}
    assert telling - {"WAROUTER_DB_PASSWORD"} == set(SECRETS)
    keys = {name for group in GROUPS for name in group.private_keys}
    assert keys == {name for name in names if name.endswith("_KEY") and name not in SECRETS}


@pytest.mark.parametrize("name", SECRETS)
def test_each_secret_has_a_file_and_is_given_once(name: str) -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(Settings)}
    assert fields[f"{name}_FILE"].name == f"{fields[name].name}_file"
    other = {k: v for k, v in CLOUD.items() if k != name}
    assert load(other | {f"{name}_FILE": "/run/x"})
    with pytest.raises(ConfigError, match=f"{name} and {name}_FILE are both set"):
        load(other | {name: HIDDEN, f"{name}_FILE": "/run/x"})


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_is_shown(name: str) -> None:
    settings = load(CLOUD | {name: HIDDEN})
    assert isinstance(settings, Settings)
    assert "graph.facebook.com" in repr(settings.cloud)
    of = settings.number_cloud
    shown = [repr(settings), repr(settings.cloud), repr(of), repr(of.token), str(settings)]
    shown += [repr(settings.api_key_source), repr(settings.db_password_source)]
    assert not [text for text in shown if HIDDEN in text]


def test_the_file_of_the_password_has_two_names() -> None:
    ours, too = "WA_DB_PASSWORD_FILE", "WAROUTER_DB_PASSWORD_FILE"
    for given in ({ours: "/f"}, {too: "/f"}, {ours: "/f", too: "/f"}):
        assert load(given).db_password_source == SecretSource(path="/f")
    assert load({too: "/f"}).db_password_name == "WAROUTER_DB_PASSWORD"
    assert load({ours: "/f"}).db_password_name == "WA_DB_PASSWORD"
    with pytest.raises(ConfigError, match="name different files"):
        load({ours: "/f", too: "/g"})
    with pytest.raises(ConfigError, match=f"WA_DB_PASSWORD and {too} are both set"):
        load({"WA_DB_PASSWORD": HIDDEN, too: "/g"})


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one", ("one",)),
        ("one\n", ("one",)),
        ("\n new \r\n\n  \nold\n\n", (" new ", "old")),
        ("pässwörd", ("pässwörd",)),
    ],
)
def test_lines(text: str, lines: tuple[str, ...]) -> None:
    assert lines_of(text) == lines


@pytest.mark.parametrize("text", ["", "\n \n", "a\n" * 9, "a\x00b", "a\tb", "a\x1b[0m"])
def test_bad_lines_of_a_secret_file_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"lines|control character"):
        lines_of(text)


def test_each_line_of_api_keys_has_their_length() -> None:
    assert api_keys_of(f" {HIDDEN} \r\n\n{'y' * 128}\n") == (HIDDEN, "y" * 128)
    for text in (f"{HIDDEN}\nshort", "y" * 129, "", f"{HIDDEN}\n" * 9):
        with pytest.raises(ValueError, match="1 to 8 lines of 12 to 128 characters") as raised:
            api_keys_of(text)
        assert HIDDEN not in str(raised.value)


BAD = {
    "empty": (b"", "it is empty: write the secret into it"),
    "blank": (b" \n\r\n", "it is empty: write the secret into it"),
    "not text": (b"\xff\xfe" + HIDDEN.encode(), "it is not UTF-8: write"),
    "long": (b"x" * (MOST_BYTES + 1), "it is longer than 65536 bytes"),
    "control": (HIDDEN.encode() + b"\x00", "it has a control character"),
}


@pytest.mark.parametrize(("content", "reason"), BAD.values(), ids=list(BAD))
def test_a_file_that_cannot_be_used_is_refused_at_first(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = written(tmp_path / "secret", content)
    with pytest.raises(ConfigError, match=f"^WA_X_FILE cannot be used: {path}: {reason}") as raised:
        followed(path)
    assert "\n" not in str(raised.value)
    assert HIDDEN not in str(raised.value)


def test_a_place_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory: write the secret there"):
        followed(tmp_path / "none")
    with pytest.raises(ConfigError, match="Is a directory: give the path of a file in it"):
        followed(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="it is no regular file: give the path of one"):
        followed(tmp_path / "pipe")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything."""
    if own := os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(own)


def test_a_file_that_the_account_may_not_read(folder: Path) -> None:
    path = written(folder / "secret", HIDDEN, 0o000)
    denied = "Permission denied: give the account of this process the right to read it"
    with as_nobody(), pytest.raises(ConfigError, match=denied):
        followed(path)


def test_a_file_that_everybody_may_read_is_refused(folder: Path) -> None:
    path = written(folder / "secret", HIDDEN, 0o644)
    assert world_readable(str(path))
    with pytest.raises(
        ConfigError, match=f"everybody on this machine may read it: run `chmod o= {path}`"
    ):
        followed(path)
    path.chmod(0o640)
    assert followed(path).value == (HIDDEN,)
    assert not world_readable(str(path))
    assert not world_readable(str(folder / "none"))


def test_a_file_that_everybody_may_write_is_refused(folder: Path) -> None:
    path = written(folder / "secret", HIDDEN, 0o602)
    with pytest.raises(ConfigError, match=f"may write it: run `chmod o= {path}`"):
        followed(path)


def test_a_folder_that_others_may_not_enter_protects_what_is_in_it(folder: Path) -> None:
    private = folder / "private"
    private.mkdir(0o700)
    path = written(private / "secret", HIDDEN, 0o644)
    assert not world_readable(str(path))
    link = folder / "link"
    link.symlink_to(path)
    assert not world_readable(str(link))
    assert followed(link).value == (HIDDEN,)
    private.chmod(0o711)
    assert world_readable(str(link))


@pytest.mark.parametrize("spoilt", [*(content for content, _ in BAD.values()), None, "open"])
def test_later_the_last_value_stays_and_it_is_logged_once(
    folder: Path, caplog: pytest.LogCaptureFixture, spoilt: bytes | str | None
) -> None:
    caplog.set_level(logging.DEBUG)
    path = written(folder / "secret", HIDDEN)
    secret = followed(path)
    if spoilt is None:
        path.unlink()
    elif spoilt == "open":
        written(path, "renewed-and-seen-by-all", 0o644)
    else:
        assert isinstance(spoilt, bytes)
        path.write_bytes(spoilt)
    assert [secret.now() for _ in range(3)] == [(HIDDEN,)] * 3
    assert [record.message for record in caplog.records] == ["secret file read failed"]
    written(path, "new\nold\n")
    assert secret.now() == ("new", "old")
    shown = repr([vars(record) for record in caplog.records]) + repr(secret)
    assert not [word for word in (HIDDEN, "renewed", "new\\n") if word in shown]


def test_a_volume_whose_files_are_links_is_followed(tmp_path: Path) -> None:
    """As Kubernetes renews a secret: another folder takes the place of the one before."""
    for n in ("1", "2"):
        (tmp_path / n).mkdir()
        written(tmp_path / n / "key", f"value-{n}")
    (tmp_path / "data").symlink_to("1")
    (tmp_path / "key").symlink_to("data/key")
    secret = followed(tmp_path / "key")
    assert secret.now() == ("value-1",)
    (tmp_path / "next").symlink_to("2")
    (tmp_path / "next").rename(tmp_path / "data")
    assert secret.now() == ("value-2",)


def test_private_keys_are_known_by_their_variables() -> None:
    given = {"WAROUTER_TLS_KEY": "/k", "WAROUTER_WEBHOOK_CLIENT_KEY": "/w"}
    assert load(given).private_keys == given
