"""The strip of slots: letters that stay, and every slot once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from warouter.console.pages.strip import labels_of, parts_of, strip_of

NAMES = st.lists(st.integers(1, 40).map("h:coreapp-{}".format), max_size=40, unique=True)


def test_letters_follow_the_numbers_of_coreapps() -> None:
    labels = labels_of(f"h:coreapp-{n}" for n in (10, 2, 1, 30))
    assert {name: label.letter for name, label in labels.items()} == {
        "h:coreapp-1": "A",
        "h:coreapp-2": "B",
        "h:coreapp-10": "C",
        "h:coreapp-30": "D",
    }


def test_after_z_come_two_letters() -> None:
    labels = labels_of(f"c{n}" for n in range(54))
    letters = [label.letter for label in labels.values()]
    assert letters[25:28] + letters[52:] == ["Z", "AA", "AB", "BA", "BB"]
    assert len(set(letters)) == 54
    assert {label.tone for label in labels.values()} == set(range(1, 9))


@given(NAMES, st.data())
def test_each_slot_stands_once_under_its_owner(names: list[str], data: st.DataObject) -> None:
    owner = st.one_of(st.none(), st.sampled_from(names)) if names else st.none()
    owners = {slot: data.draw(owner) for slot in range(32)}
    labels = labels_of(names)
    cells = strip_of(owners, {}, labels, set(names))
    assert [cell.slot for cell in cells] == list(range(32))
    assert {c.slot: c.owner.name if c.owner else None for c in cells} == owners
    assert not any(cell.lost for cell in cells)
    parts = parts_of(cells)
    assert sorted(slot for part in parts for slot in part.slots) == list(range(32))
    assert len({part.owner for part in parts}) == len(parts)


def test_a_cell_says_to_whom_it_goes_and_whose_owner_does_not_live() -> None:
    labels = labels_of(["a", "b"])
    moving, lost, nobodys = strip_of({0: "a", 1: "b"}, {0: "b"}, labels, {"a"})[:3]
    assert (moving.text, moving.words) == ("A→B", "Slot 0: a, on its way to b")
    assert (lost.text, lost.words) == ("B", "Slot 1: b, which does not live")
    assert nobodys.words == "Slot 2: nobody"
