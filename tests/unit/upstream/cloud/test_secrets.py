"""Secrets: from a variable or a followed file, and never shown."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.harness.cloud_number import some_number
from tests.harness.wait import soon
from warouter.errors import ConfigError
from warouter.upstream.cloud.secret_text import app_secrets_of, token_of
from warouter.upstream.cloud.secrets import Secrets
from warouter.variables import SecretSource

HIDDEN = "EAAhidden"
OTHER = "EAAsecond"  # as long as that


class _Read(Secrets):
    """Secrets of one number, as it sees them."""

    def __init__(self, **sources: SecretSource) -> None:
        """A variable for each but those given here."""
        plain = {
            "token": SecretSource(HIDDEN),
            "app_secret": SecretSource("secret-a"),
            "verify_token": SecretSource("verify-me"),
        }
        self.of = some_number(**{**plain, **sources})
        super().__init__(self.of)

    @property
    def now(self) -> str:
        return self.token(self.of)

    def renew(self, *, anyway: bool = False) -> bool:
        return self.refresh(self.of, anyway=anyway)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The access token's."""
    path = tmp_path / "token"
    path.write_text(HIDDEN)
    return path


@pytest.fixture
def secrets(file: Path) -> _Read:
    """Those of which the access token stands in that file."""
    return _Read(token=SecretSource(path=str(file)))


def test_values_of_variables() -> None:
    secrets = _Read()
    assert (secrets.now, secrets.app_secrets(secrets.of.app)) == (HIDDEN, ("secret-a",))
    assert secrets.verify_token(secrets.of.app) == "verify-me"
    assert secrets.token_hash(secrets.of) == hashlib.sha256(HIDDEN.encode()).digest()
    assert secrets.renew(anyway=True) is False


def test_a_file_is_read_again_when_it_changes(file: Path) -> None:
    file.write_text("first\n")
    secrets = _Read(token=SecretSource(path=str(file)))
    assert secrets.now == "first"
    assert secrets.renew() is False
    file.write_text("second-one\n")
    assert secrets.renew() is True
    assert secrets.now == "second-one"
    assert secrets.token_hash(secrets.of) == hashlib.sha256(b"second-one").digest()


def test_a_file_that_is_replaced_by_one_that_looks_alike_is_noticed(
    file: Path, secrets: _Read
) -> None:
    new = file.with_name("new")
    new.write_text(OTHER)
    stat = file.stat()
    os.utime(new, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    new.replace(file)
    assert secrets.renew() is True
    assert secrets.now == OTHER


def test_after_a_refusal_a_file_is_read_whatever_it_looks_like(
    file: Path, secrets: _Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warouter.secret.look", lambda _path: secrets._token(secrets.of)._seen)
    file.write_text(OTHER)
    assert secrets.renew() is False
    assert secrets.renew(anyway=True) is True
    assert secrets.now == OTHER


@pytest.mark.parametrize("spoilt", [b"", b"\n\n", b"two words", b"\xff\xfe", None])
def test_a_file_that_cannot_be_used_leaves_the_last_value_and_is_logged_once(
    file: Path, secrets: _Read, caplog: pytest.LogCaptureFixture, spoilt: bytes | None
) -> None:
    if spoilt is None:
        file.unlink()
    else:
        file.write_bytes(spoilt)
    for _ in range(3):
        assert secrets.renew() is False
        assert secrets.now == HIDDEN
    assert [r.getMessage() for r in caplog.records] == ["secret file read failed"]
    file.write_text("renewed")
    assert secrets.renew() is True
    assert secrets.now == "renewed"


def test_no_secret_is_logged_or_shown(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = _Read(token=SecretSource(path=str(file)))
    for content in ("EAArenewed", "EAA renewed", "EAAagain"):
        file.write_text(content)
        secrets.renew()
    shown = repr([vars(record) for record in caplog.records]) + repr(secrets)
    assert len(caplog.records) == 3
    assert not [word for word in (HIDDEN, "renewed", "again", "secret-a") if word in shown]


async def test_files_are_followed(
    file: Path, secrets: _Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warouter.upstream.cloud.secrets.EVERY_SECONDS", 0.0)
    following = asyncio.ensure_future(secrets.follow())
    await asyncio.to_thread(file.write_text, "second-one")
    await soon(lambda: secrets.now == "second-one")
    following.cancel()


def test_several_app_secrets_are_in_force_while_they_are_rotated(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text("new\r\n\n old \n")
    secrets = _Read(app_secret=SecretSource(path=str(file)))
    assert secrets.app_secrets(secrets.of.app) == ("new", "old")


def test_each_number_has_its_token_and_those_of_one_app_share_its_secrets(
    file: Path, secrets: _Read
) -> None:
    other = replace(secrets.of, id=2, token=SecretSource(OTHER))
    assert (secrets.now, secrets.token(other)) == (HIDDEN, OTHER)
    before = secrets.changes
    assert secrets.app_secrets(other.app) == secrets.app_secrets(secrets.of.app)
    file.write_text("renewed")
    assert secrets.refresh(other, anyway=True) is False
    assert (secrets.now, secrets.changes) == (HIDDEN, before)
    assert secrets.renew() is True
    assert (secrets.now, secrets.token(other), secrets.changes) == ("renewed", OTHER, before + 1)
    changed = replace(other, token=SecretSource("EAAthird"))
    assert secrets.token(changed) == "EAAthird"
    assert secrets.changes == before + 2


def test_an_unusable_secret_of_another_number_is_reported_with_its_id(secrets: _Read) -> None:
    other = replace(secrets.of, id=2, token=SecretSource("two words"))
    with pytest.raises(ConfigError, match="WAROUTER_CLOUD_TOKEN of 2 cannot be used"):
        secrets.token(other)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            SecretSource(path="/nowhere/token"),
            "WAROUTER_CLOUD_TOKEN_FILE cannot be used: /nowhere/token: No such file",
        ),
        (
            SecretSource("two words"),
            "WAROUTER_CLOUD_TOKEN cannot be used: an access token is one word",
        ),
        (SecretSource("EAA\nX: y"), "WAROUTER_CLOUD_TOKEN cannot be used"),
        (SecretSource("EAA\u0661"), "WAROUTER_CLOUD_TOKEN cannot be used"),
    ],
)
def test_unusable_secrets_are_reported_at_the_start(source: SecretSource, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as raised:
        _Read(token=source)
    assert "EAA" not in str(raised.value)


def test_bounds() -> None:
    assert token_of(" x \r\n") == "x"
    with pytest.raises(ValueError, match="one word"):
        token_of("x" * 16_385)
    with pytest.raises(ValueError, match="1 to 8"):
        app_secrets_of("\n".join("x" * 9))
    with pytest.raises(ValueError, match="1 to 8"):
        app_secrets_of(" \n")
