"""Frames of one message's size, packed and split: the extension beside the readable twin."""

import pytest

from tests.harness import reference
from warouter._batch import Splitter, pack, split

FRAMES = 256
FRAME_SIZE = 251
READ_SIZE = 65_536
PAYLOADS = [bytes([i]) * FRAME_SIZE for i in range(FRAMES)]
STREAM = reference.pack(PAYLOADS)
READS = [(STREAM * 4)[start : start + READ_SIZE] for start in range(0, 4 * len(STREAM), READ_SIZE)]
LARGE = [bytes(READ_SIZE)] * 64


@pytest.mark.parametrize("function", [pack, reference.pack], ids=["extension", "twin"])
@pytest.mark.benchmark(group="batch: pack 256 frames of 251 B")
def test_pack(benchmark, function):
    assert benchmark(function, PAYLOADS) == STREAM


@pytest.mark.parametrize("function", [split, reference.split], ids=["extension", "twin"])
@pytest.mark.benchmark(group="batch: split 256 frames of 251 B")
def test_split(benchmark, function):
    benchmark(function, STREAM)


@pytest.mark.benchmark(group="batch: feed 1024 frames of 251 B in reads of 64 KiB")
def test_feed(benchmark):
    splitter = Splitter(1 << 20)

    def feed():
        return sum(len(splitter.feed(read)) for read in READS)

    assert benchmark(feed) == 4 * FRAMES


@pytest.mark.benchmark(group="batch: feed one frame of 4 MiB in reads of 64 KiB")
def test_feed_large(benchmark):
    splitter = Splitter(1 << 23)
    head = (len(LARGE) * READ_SIZE).to_bytes(4, "little")

    def feed():
        splitter.feed(head)
        return sum(len(splitter.feed(read)) for read in LARGE)

    assert benchmark(feed) == 1
