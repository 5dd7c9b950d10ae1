"""How slow and how many clients may be, at n and n + 1, without a clock."""

from __future__ import annotations

import ipaddress

import pytest

from warouter.http.pace import ConnectionLimits, ConnectionProgress, Gate

LIMITS = ConnectionLimits()


def test_a_head_has_ten_seconds_in_all() -> None:
    pace = ConnectionProgress(0.0)  # a connection that says nothing
    assert pace.fault(LIMITS, 9.99, reading=False) == ""
    assert pace.fault(LIMITS, 10.0, reading=False) == "head"
    pace.came(1, 5.0, waiting=True)
    pace.came(1, 9.9, waiting=True)  # a byte now and then buys nothing
    assert pace.head_bytes == 2
    assert pace.fault(LIMITS, 10.0, reading=False) == "head"


def test_after_a_request_a_connection_may_idle() -> None:
    pace = ConnectionProgress(0.0)
    pace.came(100, 1.0, waiting=True)
    pace.asked(1.0)
    assert pace.fault(LIMITS, 500.0, reading=False) == ""
    pace.came(1, 600.0, waiting=True)  # the next one has begun
    assert pace.fault(LIMITS, 609.9, reading=False) == ""
    assert pace.fault(LIMITS, 610.0, reading=False) == "head"


@pytest.mark.parametrize(
    ("came", "at", "fault"),
    [
        (0, 4.99, ""),
        (0, 5.0, "body"),
        (5_119, 5.0, "body"),
        (5_120, 5.0, ""),
        (10_239, 10.0, "body"),
    ],
)
def test_a_body_comes_at_1_kib_a_second_after_5_s(came: int, at: float, fault: str) -> None:
    pace = ConnectionProgress(0.0)
    pace.asked(0.0)
    pace.came(came, 0.1, waiting=False)
    assert pace.fault(LIMITS, at, reading=True) == fault
    assert pace.fault(LIMITS, at, reading=False) == ""  # it has ended


def test_unread_bytes_are_not_the_clients_fault() -> None:
    pace = ConnectionProgress(0.0)
    pace.asked(0.0)
    pace.held_back(60.0)
    assert pace.fault(LIMITS, 64.0, reading=True) == ""


def test_an_answer_that_does_not_leave_is_ended_after_30_s() -> None:
    pace = ConnectionProgress(0.0)
    pace.asked(0.0)
    pace.left(1000, 500, 0.0)
    pace.left(1000, 500, 29.9)
    assert pace.fault(LIMITS, 29.9, reading=False) == ""
    assert pace.fault(LIMITS, 30.0, reading=False) == "stall"
    pace.left(1100, 400, 30.0)  # something was taken
    assert pace.fault(LIMITS, 59.9, reading=False) == ""
    pace.left(1000, 0, 59.9)
    assert pace.fault(LIMITS, 900.0, reading=False) == ""


def test_connections_in_all_and_per_address() -> None:
    gate = Gate(ConnectionLimits(connections=5, connections_per_address=2))
    assert [gate.enter("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert [gate.enter("127.0.0.1") for _ in range(4)] == [True, True, True, False]
    gate.leave("127.0.0.1")
    assert not gate.enter("192.0.2.1")
    assert gate.enter("192.0.2.2")
    assert not gate.enter("192.0.2.3")


def test_trusted_proxies_may_open_many() -> None:
    proxies = (ipaddress.ip_network("10.0.0.0/24"),)
    gate = Gate(ConnectionLimits(connections_per_address=1, exempt=proxies))
    assert all(gate.enter("10.0.0.7") for _ in range(50))
    assert [gate.enter("10.0.1.7") for _ in range(2)] == [True, False]
    assert [gate.enter("::1") for _ in range(2)] == [True, False]
    assert all(gate.enter("") for _ in range(5))  # a Unix socket has no address
