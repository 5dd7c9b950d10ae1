"""Frames to bytes and back: any fall of the reads gives the same frames, and none is trusted."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness import reference
from warouter._batch import Splitter, pack, split
from warouter.errors import FrameTooLarge

MAX_FRAME = 1 << 20

payload_lists = st.lists(st.binary(max_size=40), max_size=20)


def prefix(length: int) -> bytes:
    return length.to_bytes(4, "little")


@st.composite
def cut_streams(draw: st.DrawFn) -> tuple[list[bytes], list[bytes]]:
    """Payloads, and their frames cut into reads anywhere, empty reads included."""
    payloads = draw(payload_lists)
    stream = reference.pack(payloads)
    places = sorted(draw(st.lists(st.integers(0, len(stream)))))
    edges = [0, *places, len(stream)]
    return payloads, [stream[a:b] for a, b in pairwise(edges)]


@given(payload_lists)
def test_pack_is_the_twin_and_split_its_inverse(payloads: list[bytes]) -> None:
    packed = pack(payloads)
    assert packed == reference.pack(payloads)
    assert split(packed) == payloads


@given(st.binary(max_size=40))
def test_pack_takes_each_kind_of_payload(payload: bytes) -> None:
    kinds = [payload, bytearray(payload), memoryview(payload), memoryview(bytearray(payload))]
    assert pack(kinds) == reference.pack([payload] * 4)


OTHER_DATA = ["text", None, bytearray(b"\0\0\0\0"), memoryview(b"\0\0\0\0")]


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        *(
            (partial(pack, [b"x", p]), TypeError, "bytes, bytearray or memoryview, not")
            for p in ("text", None, 5, [b"x"])
        ),
        (partial(pack, [memoryview(b"abcdef")[::2]]), BufferError, None),
        *((partial(Splitter(100).feed, data), TypeError, None) for data in OTHER_DATA),
        *((partial(Splitter, limit), TypeError, None) for limit in ("100", None, 1.5)),
        (partial(Splitter, 100, 101), ValueError, "keep must not exceed"),
    ],
)
def test_payloads_of_another_kind_are_refused(call: Any, error: Any, sentence: str | None) -> None:
    with pytest.raises(error, match=sentence):
        call()


def test_pack_counts_bytes_and_not_items() -> None:
    words = memoryview(bytearray(8)).cast("I")
    assert pack([words]) == prefix(8) + bytes(8)


@given(payload_lists, st.data())
def test_split_refuses_a_trailing_part(payloads: list[bytes], data: st.DataObject) -> None:
    whole = reference.pack([*payloads, b"last one"])
    size = data.draw(st.integers(len(whole) - len(b"last one") - 3, len(whole) - 1))
    with pytest.raises(ValueError, match="last"):
        split(whole[:size])


@given(cut_streams())
def test_any_fall_of_the_reads_gives_the_same_frames(case: tuple[list[bytes], list[bytes]]) -> None:
    payloads, reads = case
    splitter = Splitter(MAX_FRAME)
    stream, frames = b"", []
    for read in reads:
        frames += splitter.feed(read)
        stream += read
        whole, rest = reference.split(stream)
        assert frames == whole
        assert splitter.pending() == len(rest)
    assert frames == payloads
    assert splitter.pending() == 0


def test_whole_frames_are_views_and_all_that_are_fed_are_read_only() -> None:
    read = reference.pack([b"one", b"two", b""])
    buffer = bytearray(read)
    assert all(frame.obj is buffer for frame in split(buffer))
    splitter = Splitter(MAX_FRAME)
    assert all(frame.obj is read for frame in splitter.feed(read))
    frames = splitter.feed(read[:9]) + splitter.feed(read[9:])
    assert [frame.readonly for frame in frames] == [True] * 3


def test_large_frame_grows_in_place_and_is_not_copied_when_whole() -> None:
    """Linear by structure: one buffer takes every read, and the frame is a view of that buffer."""
    splitter = Splitter(MAX_FRAME)
    payload = bytes(range(256)) * 4096
    stream = reference.pack([payload])
    frames = []
    for start in range(0, len(stream), 1000):
        frames += splitter.feed(stream[start : start + 1000])
    (frame,) = frames
    assert frame == payload
    assert isinstance(frame.obj, bytearray)
    assert frame.obj == stream


@pytest.mark.parametrize("cut", [0, 1, 3])
@pytest.mark.parametrize("length", [101, 1 << 31, (1 << 32) - 1])
def test_too_large_a_frame_is_refused_before_it_is_allocated(length: int, cut: int) -> None:
    splitter = Splitter(100)
    head = prefix(length)
    splitter.feed(head[:cut])
    with pytest.raises(FrameTooLarge) as caught:
        splitter.feed(head[cut:])
    assert (caught.value.length, caught.value.limit) == (length, 100)
    assert splitter.pending() == 0


def test_a_frame_of_just_the_limit_is_taken() -> None:
    assert Splitter(100).feed(prefix(100) + bytes(100)) == [bytes(100)]


@pytest.mark.parametrize("length", [101, (1 << 32) - 1])
def test_nothing_is_taken_after_an_error(length: int) -> None:
    splitter = Splitter(100)
    with pytest.raises(FrameTooLarge):
        splitter.feed(prefix(1) + b"x" + prefix(length))
    with pytest.raises(ValueError, match="nothing is taken after"):
        splitter.feed(prefix(1) + b"x")


def test_the_limit_may_grow_and_what_came_before_is_kept() -> None:
    splitter = Splitter(2)
    assert splitter.feed(prefix(2) + b"ab" + prefix(2) + b"c") == [b"ab"]
    splitter.allow(1000)
    assert splitter.feed(b"d" + prefix(1000) + bytes(1000)) == [b"cd", bytes(1000)]
    with pytest.raises(FrameTooLarge):
        splitter.feed(prefix(1001))


@given(
    st.lists(st.integers(0, 40)),
    st.integers(1, 20),
    st.lists(st.integers(1, 30), min_size=1),
)
def test_of_frames_that_are_too_large_the_beginning_is_kept(
    sizes: list[int], keep: int, reads: list[int]
) -> None:
    """Whatever the reads: the frames around one that is too large come as if it were short."""
    payloads = [bytes([n % 256]) * size for n, size in enumerate(sizes)]
    stream = reference.pack(payloads)
    splitter = Splitter(20, keep)
    frames, at = [], 0
    while at < len(stream):
        for size in reads:
            frames += splitter.feed(stream[at : at + size])
            at += size
    assert frames == [p if len(p) <= 20 else p[:keep] for p in payloads]
    assert splitter.pending() == 0


def test_far_too_large_payloads_are_refused() -> None:
    with pytest.raises(FrameTooLarge):
        Splitter(100, 10).feed(prefix(6_401))
    assert Splitter(100, 10).feed(prefix(6_400) + bytes(6_400) + prefix(1) + b"x") == [
        bytes(10),
        b"x",
    ]
