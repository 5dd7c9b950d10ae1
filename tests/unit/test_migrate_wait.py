"""`warouter migrate --wait`: a server that is starting is tried again, a wrong one is not."""

import pytest
from click.testing import CliRunner

from warouter.cli import migrate as command
from warouter.errors import CommandError, UnfitDatabase


@pytest.fixture
def tries(monkeypatch):
    """What each try ends with, in turn."""
    planned = []

    def ran(_settings, work):
        work.close()
        error = planned.pop(0)
        if error is None:
            return []
        raise CommandError("no server") from error

    monkeypatch.setattr(command, "_ran", ran)
    monkeypatch.setattr(command, "AGAIN_SECONDS", 0.0)
    monkeypatch.setenv("WA_DB_HOSTNAME", "127.0.0.1")
    return planned


def migrate(*words):
    return CliRunner().invoke(command.migrate, words)


def test_a_server_that_starts_is_waited_for(tries):
    tries += [ConnectionRefusedError(), OSError(), None, None]  # the steps, then the upstream
    result = migrate("--wait", "60")
    assert (result.exit_code, result.output) == (0, "up to date\n")
    assert not tries


def test_a_permanent_refusal_is_reported_at_once(tries):
    tries += [UnfitDatabase("too old"), None]
    assert isinstance(migrate("--wait", "60").exception, CommandError)
    assert len(tries) == 1


def test_without_it_the_first_try_counts(tries):
    tries += [ConnectionRefusedError(), None]
    assert isinstance(migrate().exception, CommandError)
    assert len(tries) == 1
