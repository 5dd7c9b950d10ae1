"""What arrived, from the record of either door."""

from __future__ import annotations

from typing import Any

from warouter._hash import slot_of
from warouter.lab.demo.gaps import Arrival
from warouter.lab.demo.seen import EpochStart, cloud, native

ADA = "491510000001"
SLOT = slot_of(ADA)
OWNERS = [
    EpochStart(SLOT, 20.0, 8),
    EpochStart(SLOT, 10.0, 7),
    EpochStart((SLOT + 1) % 32, 5.0, 99),
]


def request(id: str, begun: float, accepted: float | None, attempt: int = 1) -> dict[str, Any]:
    found = {"id": id, "attempt": attempt, "recipient": ADA, "begun": begun}
    return found | {"accepted": accepted}


def seen(*requests: dict[str, Any]) -> list[Arrival]:
    return cloud({"ids": {}, "requests": requests}, OWNERS).arrivals


def test_the_native_door_names_epochs() -> None:
    record = {"ids": {ADA: ["a"]}, "arrivals": [[1.5, 3, "a", 7]]}
    assert native(record) == ({ADA: ["a"]}, [Arrival(1.5, 3, "a", 7)])


def test_an_arrival_has_the_epoch_of_the_owner_when_its_request_began() -> None:
    # The one that began under the old owner was accepted under the new one.
    late, new = request("a", 19.9, 20.1), request("b", 20.0, 20.05)
    assert seen(late, new) == [Arrival(20.05, SLOT, "b", 8), Arrival(20.1, SLOT, "a", 7)]


def test_before_the_first_owner_there_is_no_epoch() -> None:
    assert seen(request("a", 9.0, 9.1)) == [Arrival(9.1, SLOT, "a", 0)]


def test_only_what_was_accepted_arrived_and_only_its_first_acceptance() -> None:
    requests = (
        request("a", 11.0, None),
        request("a", 22.0, 22.1, attempt=3),
        request("a", 21.0, 21.1, attempt=2),
    )
    assert seen(*requests) == [Arrival(21.1, SLOT, "a", 8)]
