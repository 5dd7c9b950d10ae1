"""The secrets of a cluster of containers: drawn once, each for those who may see it."""

import stat

import pytest

from warouter.errors import CommandError
from warouter.local import cloud_emulator, staging
from warouter.secret import text_of
from warouter.tls.certificate import checked_pair

KINDS = ("admin", "webapp", "coreapp", "master", "cloud", "demo", "monitoring", "web-console")


@pytest.fixture
def folder(tmp_path):
    for kind in KINDS:
        (tmp_path / kind).mkdir()
    return tmp_path


def files(folder):
    return {path: path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_all_is_drawn_and_stays_when_it_is_repeated(folder):
    staging.draw(folder)
    first = files(folder)
    staging.draw(folder)
    assert files(folder) == first
    assert len(set(first)) == len(first)


def test_a_staged_file_is_readable_by_owner_and_group_only(folder):
    staging.draw(folder)
    for path in files(folder):
        assert stat.S_IMODE(path.stat().st_mode) == 0o440, path
        if path.suffix != ".crt":
            assert text_of(str(path))  # fit for a secret of a process


def test_a_login_has_its_password_and_no_other(folder):
    staging.draw(folder)
    for kind in (*staging.LOGINS, "web_console"):
        service = kind.replace("_", "-")
        password = (folder / "admin" / f"{kind}.password").read_text()
        assert (folder / service / "db-password").read_text() == password
        holders = {
            path.parent.name for path, text in files(folder).items() if password.strip() in text
        }
        assert holders == {"admin", service}


def test_services_show_certificates_for_their_names(folder):
    staging.draw(folder)
    for kind in staging.NAMES:
        pair = (folder / kind / "tls.crt").read_text() + (folder / kind / "tls.key").read_text()
        assert checked_pair(pair).key
    trusted = (folder / "cloud" / "authorities.crt").read_text()
    assert (folder / "cloud" / "tls.crt").read_text().strip() in trusted
    assert "PRIVATE KEY" not in trusted
    for name in cloud_emulator.SECRETS:
        assert (folder / "cloud" / name.lower().replace("_", "-")).exists()


def test_a_folder_that_is_missing_is_one_sentence(tmp_path):
    with pytest.raises(CommandError, match="must belong to the account of this container"):
        staging.draw(tmp_path)


def test_the_description_names_no_process_and_the_operators_login(folder):
    environ = {
        "WA_DB_HOSTNAME": "postgres",
        "WA_DB_USERNAME": "postgres",
        "WA_DB_PASSWORD_FILE": "/etc/warouter/admin/postgres.password",
        "WAROUTER_CLOUD_WABA_ID": "1",
        "PATH": "/bin",
    }
    found = staging.description(folder, environ, "secret", "cert")
    assert found["processes"] == []
    assert found["environment"]["WA_DB_USERNAME"] == "warouter_console"
    assert found["environment"]["WA_DB_PASSWORD_FILE"] == f"{folder}/demo/db-password"
    assert found["environment"]["WAROUTER_CLOUD_WABA_ID"] == "1"
    assert "PATH" not in found["environment"]


def test_words_that_are_no_action_are_refused(capsys):
    assert staging.main(["draw"]) == 2
    assert "draw|seed" in capsys.readouterr().err
