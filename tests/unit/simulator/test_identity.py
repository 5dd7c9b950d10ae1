"""Identities of customers as the simulator plays them."""

from __future__ import annotations

import msgspec

from warouter.simulator.identity import Identities
from warouter.simulator.inbound import build, with_identity

TO = "491511234567"


def test_nothing_is_known_of_who_was_never_met() -> None:
    identities = Identities()
    assert identities.of(TO) is None
    assert identities.acknowledge(TO, "x") is None
    assert not identities.doubtful(TO)


def test_the_first_identity_is_acknowledged() -> None:
    identities = Identities()
    identities.meet(TO, 10.9)
    identities.meet(TO, 20)
    identity = identities.of(TO)
    assert identity is not None
    assert (identity.created_timestamp, identity.acknowledged) == (10, True)
    assert len(identity.hash) == 64
    assert not identities.doubtful(TO)


def test_a_change_must_be_acknowledged_by_its_hash() -> None:
    identities = Identities()
    identities.meet(TO, 10)
    first = identities.of(TO)
    second = identities.change(TO, 20)
    assert first is not None
    assert second.hash != first.hash
    assert (second.created_timestamp, second.acknowledged) == (20, False)
    assert identities.doubtful(TO)
    assert identities.acknowledge(TO, first.hash) == second
    known = identities.acknowledge(TO, second.hash)
    assert known == identities.of(TO) == msgspec.structs.replace(second, acknowledged=True)
    assert not identities.doubtful(TO)
    third = identities.change(TO, 30)
    assert third.hash not in (first.hash, second.hash)
    assert not third.acknowledged


def test_an_inbound_system_message_carries_the_new_identity() -> None:
    asked = {"from": TO, "type": "system", "system": {"type": "user_identity_changed", "body": "b"}}
    message = build(asked, "id", 1)
    assert message.new_identity
    identity = Identities().change(TO, 20)
    shown = msgspec.json.decode(with_identity(message.payload, identity))
    assert shown["identity"] == msgspec.to_builtins(identity)
    assert shown["system"]["type"] == "user_identity_changed"
    assert not build({"from": TO, "type": "system", "body": "b"}, "id", 1).new_identity
    assert not build({"from": TO, "body": "b"}, "id", 1).new_identity
