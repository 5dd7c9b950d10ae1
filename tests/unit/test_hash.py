"""Recipient to slot and shard: the golden vectors, an independent oracle, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from tests.harness import reference
from warouter import _hash

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "hash_vectors.json").read_text())
VECTORS = [(v["wa_id"], int(v["hash64"], 16), v["slot"]) for v in GOLDEN["vectors"]]

wa_ids = st.text("0123456789", min_size=5, max_size=15)
shard_counts = st.sampled_from(_hash.SHARD_COUNTS)


def test_name_and_version_are_those_of_the_vectors() -> None:
    assert GOLDEN["hash"] == _hash.HASH_NAME
    assert GOLDEN["version"] == _hash.HASH_VERSION
    assert _hash.SLOTS == 32
    assert _hash.SHARD_COUNTS == (1, 2, 4, 8, 16, 32)


@pytest.mark.parametrize(("wa_id", "hash64", "slot"), VECTORS)
def test_golden_vectors(wa_id: str, hash64: int, slot: int) -> None:
    assert _hash.hash64(wa_id) == hash64
    assert _hash.slot_of(wa_id) == slot
    for shards in _hash.SHARD_COUNTS:
        assert _hash.shard_of(wa_id, shards) == hash64 % shards == slot % shards


def test_golden_vectors_cover_every_length_and_slot() -> None:
    assert {len(wa_id) for wa_id, _, _ in VECTORS} == set(range(5, 16))
    assert {slot for _, _, slot in VECTORS} == set(range(32))


@given(wa_ids, shard_counts)
def test_hash_is_xxh64_and_a_shard_its_remainder(wa_id: str, shards: int) -> None:
    expected = xxhash.xxh64_intdigest(wa_id.encode(), seed=0)
    assert _hash.hash64(wa_id) == expected == reference.xxh64(wa_id.encode())
    assert _hash.slot_of(wa_id) == expected % 32
    assert _hash.shard_of(wa_id, shards) == expected % shards == reference.shard_of(wa_id, shards)


@given(st.binary(max_size=150))
def test_the_hash_of_any_bytes_is_xxh64(text: bytes) -> None:
    expected = xxhash.xxh64_intdigest(text, seed=0)
    assert _hash.hash64_of_bytes(text) == expected


def test_any_bytes_are_not_text() -> None:
    with pytest.raises(TypeError):
        _hash.hash64_of_bytes("491711234567")


@given(st.lists(wa_ids), shard_counts)
def test_route_is_shard_of_each(recipients: list[str], shards: int) -> None:
    out = bytearray(len(recipients))
    _hash.route(recipients, shards, out)
    assert list(out) == [_hash.shard_of(wa_id, shards) for wa_id in recipients]


def test_consecutive_numbers_spread_evenly() -> None:
    sizes = [0] * 32
    for number in range(15_550_000_000, 15_550_032_000):
        sizes[_hash.slot_of(str(number))] += 1
    assert min(sizes) > 850
    assert max(sizes) < 1150


@pytest.mark.parametrize(
    ("wa_id", "reason"),
    [
        ("", "5 to 15 digits, not 0"),
        ("1234", "5 to 15 digits, not 4"),
        ("1" * 16, "5 to 15 digits, not 16"),
        ("+15550100000", "ASCII digits only"),
        ("1555 010 0000", "ASCII digits only"),
        ("15550100000\0", "ASCII digits only"),
        ("\u0660\u0661\u0662\u0663\u0664\u0665", "ASCII digits only"),
        ("\uff11\uff12\uff13\uff14\uff15\uff16", "ASCII digits only"),
        ("12345\ud800", "ASCII digits only"),
    ],
)
def test_other_spellings_are_refused(wa_id: str, reason: str) -> None:
    for function in (
        _hash.hash64,
        _hash.slot_of,
        lambda wa_id: _hash.shard_of(wa_id, 8),
        lambda wa_id: _hash.route([wa_id], 8, bytearray(1)),
    ):
        with pytest.raises(ValueError, match=reason):
            function(wa_id)


@given(st.text())
def test_any_text_is_hashed_or_refused(text: str) -> None:
    canonical = text.isascii() and text.isdigit() and 5 <= len(text) <= 15
    if canonical:
        assert 0 <= _hash.slot_of(text) < 32
    else:
        with pytest.raises(ValueError, match="wa_id"):
            _hash.slot_of(text)


@pytest.mark.parametrize("wa_id", [None, 15550100000, b"15550100000"])
def test_other_types_are_refused(wa_id: Any) -> None:
    with pytest.raises(TypeError):
        _hash.slot_of(wa_id)
    with pytest.raises(TypeError):
        _hash.route([wa_id], 8, bytearray(1))


@pytest.mark.parametrize("shards", [-32, -1, 0, 3, 5, 12, 24, 31, 33, 64])
def test_other_shard_counts_are_refused(shards: int) -> None:
    with pytest.raises(ValueError, match=f"1, 2, 4, 8, 16 or 32, not {shards}"):
        _hash.shard_of("15550100000", shards)
    with pytest.raises(ValueError, match="number of shards"):
        _hash.route([], shards, bytearray())


@pytest.mark.parametrize("size", [0, 1, 3])
def test_route_wants_one_byte_for_each(size: int) -> None:
    with pytest.raises(ValueError, match="2 recipients need as many bytes"):
        _hash.route(["15550100000", "15550100001"], 8, bytearray(size))


@pytest.mark.parametrize("shards", [8.0, 8.5, "8", None])
def test_the_shard_count_is_an_integer(shards: Any) -> None:
    with pytest.raises(TypeError):
        _hash.shard_of("15550100000", shards)


@pytest.mark.parametrize("out", [b"\0", memoryview(bytearray(4)).cast("I"), None])
def test_route_wants_a_writable_buffer_of_bytes(out: Any) -> None:
    with pytest.raises((ValueError, BufferError, TypeError)):
        _hash.route(["15550100000"], 8, out)
