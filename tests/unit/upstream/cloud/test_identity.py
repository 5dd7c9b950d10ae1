"""Users of WhatsApp with and without a number, as v1 sees them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warouter.recipient import wa_id as canonical
from warouter.upstream.cloud.batch import INBOUND, STATUS, Element
from warouter.upstream.cloud.identity import DROP, RAW, CloudUser, UserDirectory, alias_of

ANN, BEA = "US.1122334455", "BR.99"
ALIAS = alias_of(ANN)
NUMBER, OTHER = "15550001111", "15550003333"


def element(kind: int = INBOUND, **fields: str) -> Element:
    return Element(kind=kind, key="k", raw=b"{}", timestamp=1764000003, **fields)


@given(st.text(max_size=140), st.integers(0, 4))
def test_an_alias_is_a_wa_id_of_no_country(user_id: str, salt: int) -> None:
    alias = alias_of(user_id, salt)
    assert canonical(alias) == alias
    assert len(alias) == 15
    assert alias.startswith("999")
    assert alias == alias_of(user_id, salt)


def test_aliases_are_frozen() -> None:
    assert alias_of(ANN) == "999618979772767"
    assert alias_of(ANN, 1) == "999694796902407"


def test_an_alias_is_a_persons_of_one_portfolio() -> None:
    assert alias_of(ANN, portfolio=1) == alias_of(ANN)
    found = {alias_of(ANN, salt, portfolio) for salt in range(3) for portfolio in (1, 2, 12)}
    assert len(found) == 9
    assert UserDirectory([], portfolio=2).shown(element(user_id=ANN)) == alias_of(ANN, 0, 2)


def test_an_alias_is_revealed_to_the_number_of_the_element() -> None:
    directory = UserDirectory([CloudUser(user_id=ANN, alias=ALIAS)])
    directory.shown(element(user_id=ANN, wa_id=NUMBER, number=2))
    assert [revealed.number for revealed in directory.revealed] == [2]


def test_a_user_who_shows_a_number_is_known_by_it() -> None:
    directory = UserDirectory([])
    assert directory.shown(element(wa_id=NUMBER, user_id=ANN, name="Ann")) == NUMBER
    assert directory.changed == {ANN: CloudUser(user_id=ANN, wa_id=NUMBER, name="Ann")}
    assert directory.revealed == []


def test_a_user_without_an_id_is_not_stored() -> None:
    directory = UserDirectory([])
    assert directory.shown(element(wa_id=NUMBER)) == NUMBER
    assert directory.changed == {}


def test_known_identities_are_not_written_again() -> None:
    directory = UserDirectory([CloudUser(user_id=ANN, wa_id=NUMBER, name="Ann", username="ann.x")])
    assert directory.shown(element(wa_id=NUMBER, user_id=ANN, name="Ann")) == NUMBER
    assert directory.shown(element(STATUS, wa_id=NUMBER, user_id=ANN)) == NUMBER
    assert directory.changed == {}


def test_a_number_that_is_left_out_is_remembered() -> None:
    directory = UserDirectory([CloudUser(user_id=ANN, wa_id=NUMBER)])
    assert directory.shown(element(user_id=ANN)) == NUMBER
    assert directory.shown(element(STATUS, user_id=ANN)) == NUMBER
    assert directory.changed == {}


def test_an_unknown_user_gets_an_alias_and_keeps_it() -> None:
    directory = UserDirectory([])
    alias = directory.shown(element(user_id=ANN, username="ann.x"))
    assert alias == alias_of(ANN)
    assert directory.shown(element(user_id=ANN)) == alias
    assert directory.changed == {ANN: CloudUser(user_id=ANN, alias=alias, username="ann.x")}
    assert UserDirectory([CloudUser(user_id=ANN, alias="999000000000001")]).shown(
        element(user_id=ANN)
    ) == ("999000000000001")


def test_a_status_mints_no_alias() -> None:
    directory = UserDirectory([])
    assert directory.shown(element(STATUS, user_id=ANN)) == ""
    assert directory.changed == {ANN: CloudUser(user_id=ANN)}


def test_other_choices() -> None:
    assert UserDirectory([], RAW).shown(element(user_id=ANN)) == ANN
    assert UserDirectory([], RAW).shown(element(user_id=ANN, wa_id=NUMBER)) == NUMBER
    assert UserDirectory([], DROP).shown(element(user_id=ANN)) == ""
    assert (
        UserDirectory([CloudUser(user_id=ANN, wa_id=NUMBER)], DROP).shown(element(user_id=ANN))
        == NUMBER
    )


@pytest.mark.parametrize("kind", [INBOUND, STATUS])
def test_a_number_that_shows_behind_an_alias_is_told(kind: int) -> None:
    directory = UserDirectory([CloudUser(user_id=ANN, alias=ALIAS, name="Ann")])
    assert directory.shown(element(kind, user_id=ANN, wa_id=NUMBER)) == NUMBER
    assert directory.shown(element(kind, user_id=ANN, wa_id=NUMBER)) == NUMBER
    assert directory.changed == {ANN: CloudUser(user_id=ANN, wa_id=NUMBER, alias=ALIAS, name="Ann")}
    (told,) = directory.revealed  # once
    assert (told.kind, told.wa_id, told.user_id) == (INBOUND, ALIAS, ANN)
    message = msgspec.json.decode(told.raw)
    assert message["type"] == "system"
    assert message["from"] == ALIAS
    assert message["id"] == told.wamid == told.key
    assert message["timestamp"] == "1764000003"
    assert message["system"] == {
        "body": f"User Ann changed from {ALIAS} to {NUMBER}",
        "wa_id": NUMBER,
        "user_id": ANN,
        "type": "user_changed_number",
    }


def test_a_new_number_replaces_the_former_and_is_not_told() -> None:
    directory = UserDirectory([CloudUser(user_id=ANN, wa_id=NUMBER, alias="999000000000001")])
    assert directory.shown(element(user_id=ANN, wa_id=OTHER)) == OTHER
    assert directory.changed[ANN].wa_id == OTHER
    assert directory.revealed == []


def test_a_number_has_one_user() -> None:
    directory = UserDirectory([CloudUser(user_id=ANN, wa_id=NUMBER)])
    assert directory.shown(element(user_id=BEA, wa_id=NUMBER)) == NUMBER
    assert directory.shown(element(user_id=ANN)) == alias_of(ANN)
    assert directory.changed[BEA].wa_id == NUMBER
    assert directory.changed[ANN].wa_id == ""


def test_two_users_swap_their_numbers() -> None:
    directory = UserDirectory(
        [CloudUser(user_id=ANN, wa_id=NUMBER), CloudUser(user_id=BEA, wa_id=OTHER)]
    )
    directory.shown(element(user_id=ANN, wa_id=OTHER))
    directory.shown(element(user_id=BEA, wa_id=NUMBER))
    assert {u.user_id: u.wa_id for u in directory.changed.values()} == {ANN: OTHER, BEA: NUMBER}


def moved(**fields: str) -> Element:
    return element(**{"user_id": "US.77", "previous_user_id": ANN, **fields})


def test_a_user_changes_number_and_id() -> None:
    directory = UserDirectory([CloudUser(user_id=ANN, wa_id=NUMBER, name="Ann")])
    assert directory.shown(moved(wa_id=NUMBER, changed_to=OTHER)) == NUMBER
    assert directory.changed == {"US.77": CloudUser(user_id="US.77", wa_id=OTHER, name="Ann")}
    assert directory.gone == {ANN: "US.77"}
    assert directory.revealed == []
    assert directory.shown(element(user_id="US.77")) == OTHER


def test_the_former_is_found_by_the_number_too() -> None:
    directory = UserDirectory([CloudUser(user_id=ANN, wa_id=NUMBER)])
    assert directory.shown(moved(wa_id=NUMBER, changed_to=OTHER, previous_user_id="")) == NUMBER
    assert directory.gone == {ANN: "US.77"}
    assert directory.changed["US.77"].wa_id == OTHER


def test_a_user_behind_an_alias_changes_number() -> None:
    """The message itself says so, from the alias."""
    directory = UserDirectory([CloudUser(user_id=ANN, alias=ALIAS)])
    assert directory.shown(moved(changed_to=OTHER)) == ALIAS
    assert directory.changed == {"US.77": CloudUser(user_id="US.77", wa_id=OTHER, alias=ALIAS)}
    assert directory.revealed == []


def test_only_the_id_changes() -> None:
    """The customer stays who they were, with a number and without."""
    directory = UserDirectory([CloudUser(user_id=ANN, wa_id=NUMBER)])
    assert directory.shown(moved()) == NUMBER
    assert directory.changed == {"US.77": CloudUser(user_id="US.77", wa_id=NUMBER)}
    directory = UserDirectory([CloudUser(user_id=ANN, alias=ALIAS)])
    assert directory.shown(moved()) == ALIAS
    assert directory.shown(element(user_id="US.77")) == ALIAS
    assert directory.changed == {"US.77": CloudUser(user_id="US.77", alias=ALIAS)}


def test_a_new_id_that_comes_with_a_number_reveals_who_the_alias_was() -> None:
    directory = UserDirectory([CloudUser(user_id=ANN, alias=ALIAS)])
    assert directory.shown(moved(wa_id=NUMBER)) == NUMBER
    (told,) = directory.revealed
    assert told.wa_id == ALIAS


def test_an_unknown_former_id_is_no_successor() -> None:
    directory = UserDirectory([])
    assert directory.shown(moved(wa_id=NUMBER, changed_to=OTHER)) == NUMBER
    assert directory.changed == {"US.77": CloudUser(user_id="US.77", wa_id=OTHER)}


def renamed(former: str, now: str, **fields: str) -> Element:
    return element(previous_user_id=former, user_id=now, **fields)


def test_an_id_of_the_past_stands_for_the_one_of_now() -> None:
    directory = UserDirectory([CloudUser(user_id=ANN, alias=ALIAS)])
    assert directory.shown(renamed(ANN, "US.77")) == ALIAS
    assert directory.shown(element(user_id=ANN, name="Ann")) == ALIAS
    assert directory.changed == {"US.77": CloudUser(user_id="US.77", alias=ALIAS)}
    later = UserDirectory(
        [CloudUser(user_id=ANN, successor="US.77"), CloudUser(user_id="US.77", alias=ALIAS)]
    )
    assert later.shown(element(user_id=ANN)) == ALIAS
    assert (later.changed, later.gone) == ({}, {})


def test_late_news_of_a_former_id_moves_no_number_back() -> None:
    directory = UserDirectory([CloudUser(user_id=ANN, wa_id=NUMBER)])
    directory.shown(renamed(ANN, "US.77", wa_id=NUMBER, changed_to=OTHER))
    assert directory.shown(element(user_id=ANN, wa_id=NUMBER)) == NUMBER
    assert directory.shown(element(user_id=ANN)) == OTHER
    assert directory.changed["US.77"].wa_id == OTHER


def test_an_unknown_user_behind_an_id_of_the_past_gets_one_alias() -> None:
    directory = UserDirectory([])
    directory.shown(renamed(ANN, "US.77"))
    assert directory.gone == {ANN: "US.77"}
    alias = alias_of("US.77")
    assert [directory.shown(element(user_id=user)) for user in (ANN, "US.77")] == [alias, alias]


def test_ids_change_again_and_back() -> None:
    directory = UserDirectory([CloudUser(user_id=ANN, alias=ALIAS)])
    directory.shown(renamed(ANN, "US.77"))
    directory.shown(renamed("US.77", "US.78"))
    assert directory.gone == {ANN: "US.78", "US.77": "US.78"}
    directory.shown(renamed(ANN, "US.77"))  # told again
    assert directory.gone == {ANN: "US.78", "US.77": "US.78"}
    directory.shown(renamed("US.78", ANN))
    assert directory.gone == {"US.77": ANN, "US.78": ANN}
    assert directory.changed == {ANN: CloudUser(user_id=ANN, alias=ALIAS)}
