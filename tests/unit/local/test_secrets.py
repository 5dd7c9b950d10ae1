"""The secrets of a local cluster: none stays in the variables of its processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from warouter.config import SECRETS, load
from warouter.local.secrets import joined, kept_secrets

OURS, TOO = "WA_DB_PASSWORD_FILE", "WAROUTER_DB_PASSWORD_FILE"


@pytest.mark.parametrize("name", SECRETS)
def test_each_secret_by_value_goes_into_a_file(tmp_path: Path, name: str) -> None:
    kept = kept_secrets({name: "hidden value"}, tmp_path)
    file = Path(kept.pop(f"{name}_FILE"))
    assert kept == {}
    assert (file.parent, file.read_text()) == (tmp_path, "hidden value\n")
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "api-key").touch(0o644)
    kept_secrets({"WA_API_KEY": "hidden value"}, tmp_path)
    assert (tmp_path / "api-key").stat().st_mode & 0o777 == 0o600


def test_no_two_secrets_share_a_file(tmp_path: Path) -> None:
    kept = kept_secrets(dict.fromkeys(SECRETS, "x"), tmp_path)
    assert len(set(kept.values())) == len(SECRETS)


@pytest.mark.parametrize("name", [*(f"{name}_FILE" for name in SECRETS), TOO])
def test_a_path_can_be_found_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert kept_secrets({name: "f"}, tmp_path / "data") == {name: str(tmp_path / "f")}


@pytest.mark.parametrize("cluster", [OURS, TOO])
@pytest.mark.parametrize("own", ["WA_DB_PASSWORD", OURS, TOO])
def test_a_joining_process_may_have_its_own_password(cluster: str, own: str) -> None:
    found = joined({cluster: "/of-the-cluster"}, {own: "/mine"})
    assert found == {own: "/mine"}
    assert load(found)
