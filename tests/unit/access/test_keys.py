"""Keys and scopes: form, sum, names, networks, ends."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.access.key import (
    about,
    check_adopted,
    check_end,
    check_name,
    is_from,
    may_be_key,
    networks_of,
    new_key,
    starts_of,
    within_networks,
)
from warouter.access.scopes import ANY, NAMES, Scope, includes, joined, names_of, scopes_of
from warouter.access.token import new_token
from warouter.errors import ParameterInvalid

NOW = datetime(2026, 12, 3, tzinfo=UTC)


def test_a_key_has_its_form_and_its_sum() -> None:
    key = new_key()
    assert len(key) == 53
    assert key.startswith("wrk_")
    assert may_be_key(key)
    assert starts_of(key) == key[:8]


@given(st.integers(4, 52), st.sampled_from("0aZ_-"))
def test_a_mistyped_key_is_none(place: int, letter: str) -> None:
    key = new_key()
    changed = key[:place] + letter + key[place + 1 :]
    assert may_be_key(changed) is (changed == key)
    assert not may_be_key(key[:place])


@given(st.text(max_size=80))
def test_any_text_behind_the_prefix_can_be_looked_at(text: str) -> None:
    assert not may_be_key(f"wrk_{text}")


def test_a_sum_that_begins_with_zeros_keeps_them() -> None:
    keys = [new_key() for _ in range(200)]
    assert {len(key) for key in keys} == {53}
    assert all(map(may_be_key, keys))


def test_tokens_of_other_products_can_be_adopted_but_nothing_that_may_be_guessed() -> None:
    check_adopted("EAAG" + "x" * 180)
    for wrong in ("short", "x" * 31, "x" * 1025, "with a space" * 5, new_token(), new_key()):
        with pytest.raises(ParameterInvalid, match="the token to adopt"):
            check_adopted(wrong)
    assert may_be_key("EAAG" + "x" * 180)
    assert not may_be_key("x" * 31)
    assert not may_be_key("ä" * 40)


@pytest.mark.parametrize("name", ["", "x" * 65, " shop", "shop ", "a\nb", "\0"])
def test_names_that_keys_cannot_have(name: str) -> None:
    with pytest.raises(ParameterInvalid, match="name must have 1 to 64"):
        check_name(name)
    check_name("Der Laden, Filiale 7")


def test_ends() -> None:
    check_end(None, NOW)
    check_end(NOW + timedelta(seconds=1), NOW)
    for end in (NOW, NOW - timedelta(days=1), NOW + timedelta(days=4000)):
        with pytest.raises(ParameterInvalid, match="expires must lie in the next 10 years"):
            check_end(end, NOW)
    with pytest.raises(ParameterInvalid, match="expires must have a time zone"):
        check_end(datetime(2027, 1, 1), NOW)


@pytest.mark.parametrize("text", ["192.0.2.1/24", "192.0.2.0/33", "here", "", "2001:db8::1/32"])
def test_a_malformed_network_is_named_by_its_place(text: str) -> None:
    with pytest.raises(ParameterInvalid, match=r"networks\[1\] must be a network"):
        networks_of(["192.0.2.0/24", text])


def test_no_more_networks_than_twenty() -> None:
    assert len(networks_of([f"192.0.2.{n}" for n in range(20)])) == 20
    with pytest.raises(ParameterInvalid, match="networks must be 20 at most"):
        networks_of([f"192.0.2.{n}" for n in range(21)])


def test_sources_of_a_network() -> None:
    networks = networks_of(["192.0.2.0/24", "2001:db8::/32"])
    assert is_from("192.0.2.7", networks)
    assert is_from("2001:db8::7", networks)
    assert not is_from("192.0.3.7", networks)
    assert not is_from("", networks)
    assert is_from("", ())


_NETWORKS = st.builds(
    lambda address, bits: ipaddress.ip_network((address, bits), strict=False),
    st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address),
    st.integers(0, 32),
)


@given(st.lists(_NETWORKS, max_size=3), st.lists(_NETWORKS, max_size=3), st.data())
def test_a_narrower_key_can_be_used_nowhere_that_the_wider_one_cannot(
    wished: list[ipaddress.IPv4Network], own: list[ipaddress.IPv4Network], data: st.DataObject
) -> None:
    if not within_networks(wished, own):
        return
    assert wished or not own
    for network in wished:
        offset = data.draw(st.integers(0, network.num_addresses - 1))
        assert is_from(str(network[offset]), own)


def test_networks_of_another_family_lie_in_no_network() -> None:
    four, six = networks_of(["0.0.0.0/0"]), networks_of(["::/0"])
    assert not within_networks(four, six)
    assert not within_networks(six, four)
    assert within_networks(four, ())


def test_scopes_by_name() -> None:
    assert list(NAMES) == (
        [
            "send",
            "read",
            "media",
            "templates",
            "settings",
            "monitor",
            "events",
            "people",
            "admin",
            "operate",
        ]
    )
    assert [scope.value for scope in NAMES.values()] == [2**n for n in range(10)]  # stored
    assert joined(scopes_of(["send", "media"])) == Scope(5)
    assert names_of(Scope(5)) == ["send", "media"]
    assert about(7, "shop", Scope(5)) == "7 shop send,media"
    with pytest.raises(ParameterInvalid, match=r"scopes\[1\] must be one of send, read"):
        scopes_of(["send", "all"])
    with pytest.raises(ParameterInvalid, match="scopes must name one at least"):
        scopes_of([])


def test_admin_includes_all_of_its_number_and_not_to_operate() -> None:
    for scope in Scope:
        assert includes(Scope.ADMIN, scope) is (scope is not Scope.OPERATE)
        assert includes(scope, scope)
        assert includes(scope, ANY)
    assert not includes(Scope.SEND, Scope.READ)
    assert not includes(Scope.OPERATE, Scope.ADMIN)
