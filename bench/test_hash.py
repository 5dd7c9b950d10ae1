"""Recipient to shard: the extension beside the xxhash package and the readable twin."""

import pytest
import xxhash

from tests.harness import reference
from warouter import _hash

CALLS = 1000
SHARDS = 32
RECIPIENTS = [str(15_550_100_000 + 7919 * i) for i in range(CALLS)]


def extension():
    for recipient in RECIPIENTS:
        _hash.shard_of(recipient, SHARDS)


def package():
    for recipient in RECIPIENTS:
        xxhash.xxh64_intdigest(recipient.encode()) & SHARDS - 1


def twin():
    for recipient in RECIPIENTS:
        reference.shard_of(recipient, SHARDS)


@pytest.mark.parametrize("function", [extension, package, twin])
@pytest.mark.benchmark(group="hash: 1000 calls")
def test_per_call(benchmark, function):
    benchmark(function)


def route():
    _hash.route(RECIPIENTS, SHARDS, bytearray(CALLS))


def package_list():
    bytearray([xxhash.xxh64_intdigest(recipient.encode()) & SHARDS - 1 for recipient in RECIPIENTS])


def twin_list():
    bytearray([reference.shard_of(recipient, SHARDS) for recipient in RECIPIENTS])


@pytest.mark.parametrize("function", [route, package_list, twin_list])
@pytest.mark.benchmark(group="hash: one batch of 1000 keys")
def test_per_batch(benchmark, function):
    benchmark(function)
