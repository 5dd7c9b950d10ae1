"""Which identities a webapp writes: ``SeenKeys``."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from warouter.store.cloud.keys import MOST_SEEN, IdentityKey, SeenKeys, keeping
from warouter.upstream.cloud.batch import INBOUND, STATUS, Element

ANN = "15550001111"


def shown(hash: str, at: int = 100, name: str = ANN, **more: Any) -> tuple[str, Element]:
    return name, Element(kind=STATUS, key="k", raw=b"{}", identity_hash=hash, timestamp=at, **more)


def test_written_keys_are_not_written_again() -> None:
    seen = SeenKeys()
    keys = seen.new([shown("a"), shown("a", 101)])
    assert keys == [IdentityKey(1, ANN, "a", 101, changed=False)]
    assert seen.new([shown("a")]) == seen.new([shown("a")]) != []  # the commit may have failed
    seen.written(keys)
    assert seen.new([shown("a", 102)]) == []
    assert seen.new([shown("b", 103)]) == [IdentityKey(1, ANN, "b", 103, changed=False)]


def test_a_key_that_one_number_was_shown_is_news_to_another() -> None:
    seen = SeenKeys()
    both = [shown("a"), shown("a", number=2)]
    keys = seen.new(both)
    assert keys == [IdentityKey(number, ANN, "a", 100, changed=False) for number in (1, 2)]
    seen.written(keys[:1])
    assert seen.new(both) == keys[1:]
    of_ann = Element(kind=STATUS, key="k", raw=b"{}", identity_hash="a", timestamp=9, wa_id=ANN)
    assert [seen.has(replace(of_ann, number=number)) for number in (1, 2)] == [True, False]


def test_of_several_the_latest_is_written() -> None:
    assert SeenKeys().new([shown("b", 7), shown("a", 6)]) == [
        IdentityKey(1, ANN, "b", 7, changed=False)
    ]


def test_one_that_is_said_to_have_changed_stays_so_in_its_commit() -> None:
    changed = shown("b", 7, identity_changed=True)
    assert SeenKeys().new([changed, shown("b", 8)]) == [IdentityKey(1, ANN, "b", 8, changed=True)]
    assert SeenKeys().new([shown("a", 6), changed]) == [IdentityKey(1, ANN, "b", 7, changed=True)]


def test_incomplete_identities_are_passed_over() -> None:
    nothing = [shown(""), shown("a", 0), shown("a", name="US.1"), shown("a", name="")]
    assert SeenKeys().new(nothing) == []
    plain = Element(kind=INBOUND, key="k", raw=b"{}")
    assert SeenKeys().new([(ANN, plain)]) == []


def test_the_memory_of_keys_is_bounded() -> None:
    seen = SeenKeys()
    seen.written([IdentityKey(1, str(n), "a", 1, changed=False) for n in range(MOST_SEEN + 1)])
    again = [shown("a", name="0"), shown("a", name=str(MOST_SEEN))]
    assert [key.wa_id for key in seen.new(again)] == ["0"]


def test_the_statement_keeps_what_comes_behind_the_inbox() -> None:
    assert keeping(2) == "select r.*, keep_keys($3, $4, $5, $6, $7) from receive_cloud($1, $2) r"
