"""What a build must bear with from the one after it: docs/compatibility.md, row by row."""

from __future__ import annotations

from pathlib import Path

import msgspec

from warouter.app_settings import effective, merge
from warouter.cli.nodes import settings_for
from warouter.local.description import read_description, write_description
from warouter.upstream import protocol


def test_a_field_at_the_end_of_an_upstream_frame_is_passed_over() -> None:
    later = msgspec.msgpack.encode(["hello", "coreapp-1", "ab" * 16, {"a field": "of later"}])
    assert protocol.decode_to_upstream(later) == protocol.Hello("coreapp-1", "ab" * 16)
    later = msgspec.msgpack.encode(["claimed", 5, 7, True, "later"])
    assert protocol.decode_from_upstream(later) == protocol.Claimed(5, 7, True)


def test_an_upstream_of_the_build_before_gets_one_acknowledgement_an_event() -> None:
    before = protocol.decode_from_upstream(msgspec.msgpack.encode(["claimed", 5, 7]))
    assert before == protocol.Claimed(5, 7, many=False)


def test_a_setting_of_a_later_build_is_kept() -> None:
    stored = {"of_later": {"a": 1}, "callback_persist": False}
    assert effective(stored).callback_persist is False
    assert merge(stored, {"callback_persist": True}) == {**stored, "callback_persist": True}


def test_a_key_of_a_later_cluster_json_is_passed_over(tmp_path: Path) -> None:
    environment = {"WA_DB_HOSTNAME": "db", "WAROUTER_UPSTREAM_ADDRESS": "127.0.0.1:1"}
    later = {"environment": environment, "of_later": [1], "processes": []}
    write_description(tmp_path, msgspec.json.encode(later).decode())
    assert read_description(tmp_path)["of_later"] == [1]
    assert settings_for("master", tmp_path).db_hostname == "db"
