"""A local cluster's variables for the Cloud API: no secret stays in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from warouter.local import cloud_emulator
from warouter.local.secrets import joined, kept_secrets

TOKEN, TOKEN_FILE = "WAROUTER_CLOUD_TOKEN", "WAROUTER_CLOUD_TOKEN_FILE"


def test_a_secret_by_value_goes_into_a_file_of_its_own(tmp_path: Path) -> None:
    given = {TOKEN: "secret", "WAROUTER_CLOUD_WABA_ID": "1"}
    kept = kept_secrets(given, tmp_path)
    assert kept == {"WAROUTER_CLOUD_WABA_ID": "1", TOKEN_FILE: str(tmp_path / "cloud-token")}
    file = Path(kept[TOKEN_FILE])
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("secret\n", 0o600)


def test_the_secrets_of_the_emulator_are_drawn_once_and_are_not_the_operators(
    tmp_path: Path,
) -> None:
    first = cloud_emulator.emulated(tmp_path, 1)
    drawn = Path(first[TOKEN_FILE]).read_text()
    kept_secrets({TOKEN: "of an operator"}, tmp_path)
    again = cloud_emulator.emulated(tmp_path, 2)
    assert again == first | {"WAROUTER_CLOUD_BASE_URL": "http://127.0.0.1:2"}
    assert Path(again[TOKEN_FILE]).read_text() == drawn


def test_an_emulator_with_a_certificate_is_asked_over_tls(tmp_path: Path) -> None:
    found = cloud_emulator.emulated(tmp_path, 1, tls=True)
    assert found["WAROUTER_CLOUD_BASE_URL"] == "https://127.0.0.1:1"


def test_a_joining_process_may_have_a_secret_by_value() -> None:
    cluster = {TOKEN_FILE: "/f", "WAROUTER_CLOUD_APP_SECRET_FILE": "/g"}
    own = {TOKEN: "secret", "PATH": "/bin"}
    assert joined(cluster, own) == own | {"WAROUTER_CLOUD_APP_SECRET_FILE": "/g"}
    assert joined(cluster, {TOKEN_FILE: "/mine"})[TOKEN_FILE] == "/mine"


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("0.0.0.0:9095", ("0.0.0.0", 9097)),
        ("[::1]:80", ("[::1]", 82)),
        ("", None),
        (":9095", None),
        ("host:", None),
    ],
)
def test_each_webapp_listens_at_the_next_port(
    listen: str, expected: tuple[str, int] | None
) -> None:
    assert cloud_emulator.listening({"WAROUTER_CLOUD_LISTEN": listen}, 3) == expected


def test_the_webhook_is_called_as_it_listens() -> None:
    assert cloud_emulator.webhook_url("127.0.0.1", 9) == "http://127.0.0.1:9/cloud/webhook"
    assert cloud_emulator.webhook_url("[::1]", 9, tls=True) == "https://[::1]:9/cloud/webhook"
