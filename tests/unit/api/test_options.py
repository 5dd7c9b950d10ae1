"""``Warouter-In-Doubt`` and ``Warouter-Priority``: what is said, and what is no value."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.api.messages.options import Options, options_of
from warouter.errors import ParameterInvalid
from warouter.kinds import FAIL, HOLD, NO_POLICY, RESEND

POLICIES = {(): NO_POLICY, ("resend",): RESEND, ("fail",): FAIL, ("hold",): HOLD}
PRIORITIES = {(): False, ("high",): True, ("normal",): False}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("priority", PRIORITIES)
def test_options_read_from_headers(policy: tuple[str, ...], priority: tuple[str, ...]) -> None:
    assert options_of(policy, priority) == Options(POLICIES[policy], PRIORITIES[priority])


ODD = ("", " ", "Fail", "fail ", "fail, hold", "0", "1", "none", "\xff")
SEVERAL = (("fail", "fail"), ("fail", "hold"), ("", ""))


@pytest.mark.parametrize("given", [*((value,) for value in ODD), *SEVERAL])
def test_anything_else_is_refused_in_a_sentence(given: Sequence[str]) -> None:
    with pytest.raises(ParameterInvalid) as refused:
        options_of(given, ())
    assert refused.value.details == (
        "Warouter-In-Doubt must be given once, as resend, fail or hold"
    )
    with pytest.raises(ParameterInvalid) as refused:
        options_of((), given)
    assert refused.value.details == "Warouter-Priority must be given once, as high or normal"


@given(st.lists(st.text(max_size=8) | st.sampled_from(["fail", "high"]), min_size=1, max_size=3))
def test_nothing_else_is_raised(given: list[str]) -> None:
    for headers in ((given, ()), ((), given), (given, given)):
        with suppress(ParameterInvalid):
            options_of(*headers)
