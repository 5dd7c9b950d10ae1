"""``warouter up`` as the program of a container: where it listens, whom it buries, its account."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from warouter.errors import CommandError
from warouter.local import container, ports, postgres

# It inherits the orphan as process 1 does, and waits for one child by itself.
INHERITS = """
import ctypes, os, subprocess, sys
from warouter.local.container import reap
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER
told, tell = os.pipe()
held, hold = os.pipe()  # it lives until this is closed, and its parent has ended by then
script = "cat <&%d & echo $! >&%d; exit 7" % (held, tell)
own = subprocess.Popen(["sh", "-c", script], pass_fds=[held, tell])
orphan = int(os.read(told, 32))
os.waitid(os.P_PID, own.pid, os.WEXITED | os.WNOWAIT)
os.close(hold)
os.waitid(os.P_PID, orphan, os.WEXITED | os.WNOWAIT)
reaped = []
while orphan not in reaped:
    assert own.pid not in reaped
    reaped += reap([own.pid])
    if own.returncode is None and orphan not in reaped:
        own.wait()
assert reaped == [orphan]
assert own.wait() == 7
"""


def test_the_first_process_buries_orphans_and_no_child_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", INHERITS], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_in_a_container_it_listens_where_the_port_is_published(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(container, "MARKS", (tmp_path / "mark",))
    assert container.listen_address("") == "127.0.0.1"
    (tmp_path / "mark").touch()
    assert container.listen_address("") == "0.0.0.0"
    assert container.listen_address("10.0.0.7") == "10.0.0.7"
    monkeypatch.setattr(container, "MARKS", ())
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert container.listen_address("") == "0.0.0.0"


def test_an_address_of_another_host_is_refused() -> None:
    with pytest.raises(CommandError, match="give --listen an address of this host"):
        ports.take(9090, "192.0.2.1")


def test_an_account_with_a_name_needs_no_other() -> None:
    assert postgres._named() == []


def nameless(uid: int) -> pwd.struct_passwd:
    raise KeyError(uid)


def test_an_account_without_a_name_gets_one_or_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pwd, "getpwuid", nameless)
    if subprocess.run(["unshare", "-U", "true"], capture_output=True).returncode == 0:
        command = [*postgres._named(), "id", "-un"]
        who = subprocess.run(command, capture_output=True, text=True, check=True)
        assert who.stdout == "nobody\n"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match=r"/etc/passwd has none: add it .* or set WA_DB_HOST"):
        postgres._named()
