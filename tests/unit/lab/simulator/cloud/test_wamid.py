"""Ids have the form of Meta's."""

import base64

from warouter.lab.simulator.cloud.wamid import Wamids


def test_the_form_is_that_of_a_sample() -> None:
    sample = "HBgLMTU1NTAwMDExMTEVAgARGBI5QTNEQTA2RjdGMEY4RTRGAA=="
    wamid = Wamids(1).outgoing("15550001111", 7)
    made = base64.b64decode(wamid.removeprefix("wamid."))
    assert made[:20] == base64.b64decode(sample)[:20]
    assert (made[19], made[20], len(made[20:-1])) == (18, ord("0"), 18)
    assert set(made[20:-1]) <= set(b"0123456789ABCDEF")
    assert made[-1] == 0


def test_ids_differ_by_number_direction_customer_and_process() -> None:
    one = Wamids(1)
    ids = {
        one.outgoing("1555", 1),
        one.outgoing("1555", 2),
        one.incoming("1555", 1),
        one.outgoing("1556", 1),
        Wamids(2).outgoing("1555", 1),
    }
    assert len(ids) == 5
