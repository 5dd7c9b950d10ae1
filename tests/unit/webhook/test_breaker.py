"""When a receiver counts as down, when it is probed, and when an event is given up."""

from __future__ import annotations

import pytest

from warouter.webhook.breaker import FAILURES, Breaker, given_up, retry_delay_ms


class TestBreaker:
    def fail(
        self,
        breaker: Breaker,
        now: float,
        *,
        probe: bool = False,
        retry: bool = False,
        times: int = 1,
    ) -> None:
        for _ in range(times):
            breaker.failed(now, probe=probe, retry=retry, step_ms=3_000, most_ms=7_000)

    def opened(self, now: float = 0.0) -> Breaker:
        breaker = Breaker()
        self.fail(breaker, now, times=FAILURES)
        return breaker

    def test_opens_after_so_many_failures_in_a_row(self) -> None:
        breaker = Breaker()
        self.fail(breaker, 0.0, times=FAILURES - 1)
        assert not breaker.open
        assert not breaker.failing
        self.fail(breaker, 0.0)
        assert breaker.open
        assert breaker.failing

    def test_a_success_in_between_starts_the_count_anew(self) -> None:
        breaker = Breaker()
        self.fail(breaker, 0.0, times=FAILURES - 1)
        breaker.succeeded()
        self.fail(breaker, 0.0, times=FAILURES - 1)
        assert not breaker.open

    def test_retries_of_parked_events_open_nothing_but_are_worth_a_word(self) -> None:
        breaker = Breaker()
        self.fail(breaker, 0.0, retry=True, times=3 * FAILURES)
        assert not breaker.open
        assert breaker.failing

    def test_waits_grow_linearly_up_to_the_most_and_each_ends_in_one_probe(self) -> None:
        breaker = self.opened(now=10.0)
        for begins, wait in ((10.0, 3.0), (20.0, 6.0), (30.0, 7.0), (40.0, 7.0)):
            if begins > 10.0:
                self.fail(breaker, begins, probe=True)
            assert breaker.wait(begins, untried=False) == wait
            assert not breaker.permits(begins + wait - 0.01, untried=False)
            assert breaker.permits(begins + wait, untried=False)
            assert breaker.begin_batch()
            assert not breaker.permits(begins + wait, untried=True)  # one probe at a time
            assert breaker.wait(begins + wait, untried=True) is None

    def test_untried_events_wait_for_one_step(self) -> None:
        breaker = self.opened(now=0.0)
        breaker.begin_batch()
        self.fail(breaker, 3.0, probe=True)
        assert breaker.wait(3.0, untried=False) == 6.0
        assert breaker.wait(3.0, untried=True) == 3.0
        assert not breaker.permits(5.9, untried=True)
        assert breaker.permits(6.0, untried=True)
        assert not breaker.due(6.0)
        breaker.begin_batch()
        self.fail(breaker, 6.5, probe=True)
        assert breaker.wait(6.5, untried=False) == 2.5
        assert breaker.due(9.0)

    def test_failures_of_posts_from_before_it_opened_do_not_lengthen_the_wait(self) -> None:
        breaker = self.opened()
        self.fail(breaker, 1.0, times=10)
        assert breaker.wait(1.0, untried=False) == 2.0

    def test_any_success_closes_it_and_a_late_failure_of_the_probe_does_not_open_it(self) -> None:
        breaker = self.opened()
        breaker.begin_batch()
        breaker.succeeded()
        assert breaker.permits(0.0, untried=False)
        self.fail(breaker, 4.0, probe=True)
        assert not breaker.open

    def test_a_probe_that_was_not_made_may_be_made_again(self) -> None:
        breaker = self.opened()
        breaker.begin_batch()
        breaker.aborted(probe=True)
        assert breaker.permits(3.0, untried=False)

    def test_hurrying_ends_the_wait_and_not_the_outage(self) -> None:
        breaker = self.opened()
        breaker.hurry()
        assert breaker.permits(0.0, untried=False)
        breaker.begin_batch()
        self.fail(breaker, 0.0, probe=True)
        assert breaker.wait(0.0, untried=False) == 6.0

    def test_closed_it_is_no_probe(self) -> None:
        assert not Breaker().begin_batch()


@pytest.mark.parametrize(
    ("attempts", "delay"), [(0, 3_000), (1, 3_000), (2, 6_000), (300, 900_000), (9_999, 900_000)]
)
def test_retry_delay(attempts: int, delay: int) -> None:
    assert retry_delay_ms(attempts, 3_000, 900_000) == delay


@pytest.mark.parametrize(
    ("first_at", "now", "over"),
    [(None, 1e9, False), (0.0, 604_799.9, False), (0.0, 604_800.0, True)],
)
def test_given_up(first_at: float | None, now: float, over: bool) -> None:
    assert given_up(first_at, now) is over
