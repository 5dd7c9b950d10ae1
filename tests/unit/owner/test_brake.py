"""When requests go one at a time, when they all go again, and which messages in doubt may go."""

from __future__ import annotations

import itertools

from warouter.owner.cloud.rate.brake import LIMIT_SECONDS, UNCLEAR_SECONDS, VAIN, Brake, Key

_ids = itertools.count()


def request() -> Key:
    return next(_ids).to_bytes(20), 1


def braked(now: float = 0.0) -> Brake:
    brake = Brake()
    said = [brake.in_vain(request(), now, probe=False) for _ in range(VAIN)]
    assert said == [False] * (VAIN - 1) + [True]
    return brake


def probe(brake: Brake, now: float) -> Key:
    """Exactly one of several may begin."""
    asks = [request() for _ in range(3)]
    (found,) = [each for each in asks if brake.begins(each, now)]
    assert brake.begins(found, now), "it is asked after its write as well"
    assert brake.shut(now + 1e6), "until its answer"
    return found


def failed(brake: Brake, key: Key, now: float) -> None:
    brake.in_vain(key, now, probe=brake.ended(key))


def test_unclear_answers_set_it_and_its_probes_wait_ever_longer() -> None:
    brake, now, waits = braked(), 0.0, []
    for _ in range(9):
        wait = brake.wait(now)
        assert brake.shut(now + wait * 0.99)
        waits.append(wait)
        now += wait
        failed(brake, probe(brake, now), now)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert waits[-1] == UNCLEAR_SECONDS[1]


def test_one_that_is_taken_releases_it() -> None:
    brake = braked()
    brake.ended(probe(brake, 1.0))
    assert brake.took()
    assert all(brake.begins(request(), 1.0) for _ in range(100))
    assert [brake.in_vain(request(), 2.0, probe=False) for _ in range(VAIN - 1)] == [False] * (
        VAIN - 1
    )
    assert not brake.took()


def test_a_status_of_what_was_in_vain_releases_it() -> None:
    brake, asked = Brake(), [request() for _ in range(VAIN)]
    for key in asked:
        failed(brake, key, 0.0)
    assert brake.on
    assert not brake.proven(request()), "of another time"
    assert brake.proven(asked[2])
    assert not brake.on
    assert not brake.proven(asked[3]), "it is told once"


def test_a_status_that_comes_before_the_probes_answer_releases_it() -> None:
    brake = braked()
    key = probe(brake, 1.0)
    assert brake.proven(key)
    assert not brake.on


def test_answers_to_what_was_out_before_make_no_wait_longer() -> None:
    brake = braked()
    for _ in range(60):
        brake.in_vain(request(), 0.5, probe=False)
    assert brake.wait(0.5) == 0.5


def test_now_and_then_an_unclear_answer_sets_nothing() -> None:
    brake = Brake()
    for n in range(1_000):
        if n % VAIN:
            brake.in_vain(request(), 0.0, probe=False)
        else:
            brake.took()
    assert not brake.on


def test_a_limit_sets_it_at_once_for_as_long_as_it_says() -> None:
    brake = Brake()
    assert brake.limited(0.0, 30.0, probe=False)
    assert brake.wait(0.0) == 30.0
    for _ in range(60):  # those that were out with it
        assert not brake.limited(0.1, 1.0, probe=False)
    assert brake.wait(0.1) == 29.9
    now = 30.0
    for _ in range(12):
        brake.limited(now, 1.0, probe=brake.ended(probe(brake, now)))
        now += brake.wait(now)
    brake.limited(now, 1.0, probe=brake.ended(probe(brake, now)))
    assert brake.wait(now) == LIMIT_SECONDS[1]


def test_a_refusal_for_its_own_sake_lets_the_next_one_try_at_once() -> None:
    brake = braked()
    brake.ended(probe(brake, 1.0))
    probe(brake, 1.0)


def test_while_none_is_taken_one_message_in_doubt_at_a_time_goes_again() -> None:
    brake, (first, attempt) = Brake(), request()
    assert brake.may_resend(0.0), "nothing is known yet: one finds it out"
    brake.resends(first, 0.0)
    assert not brake.may_resend(1.0)
    brake.ended((first, attempt))
    assert brake.may_resend(1.0)
    brake.resends(first, 1.0)
    brake.took()
    assert brake.may_resend(1.0)
    assert not braked().may_resend(0.5), "before the probe is due"


def test_one_that_cannot_go_after_all_keeps_the_others_for_a_moment() -> None:
    brake = Brake()
    brake.resends(b"behind another", 0.0)
    assert not brake.may_resend(1.9)
    assert brake.may_resend(2.0)


def test_one_that_goes_keeps_the_others_until_its_end() -> None:
    brake, (first, attempt) = Brake(), request()
    brake.resends(first, 0.0)
    assert brake.begins((first, attempt), 1.0)
    assert not brake.may_resend(60.9)
    brake.ended((first, attempt))
    assert brake.may_resend(2.0)


def test_an_idle_owner_is_not_shown_as_braked_for_ever() -> None:
    brake = braked()
    assert brake.felt(60.0)
    assert not brake.felt(62.0)
    probe(brake, 100.0)
    assert brake.felt(1e6)
