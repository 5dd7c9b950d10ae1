"""Each type of message that v1 takes is written for the Cloud API, and taken by the simulator."""

from __future__ import annotations

from warouter.api.messages import validate
from warouter.lab.simulator.cloud import message
from warouter.upstream.cloud import outgoing

# v1's older name of a template, which travels as one.
OLDER = {"hsm"}


def test_each_type_of_v1_is_written_for_the_cloud_api() -> None:
    assert set(validate._RULES) - OLDER == set(outgoing._MAKERS)


def test_each_type_that_is_written_is_taken_by_the_simulators_cloud_door() -> None:
    assert set(outgoing._MAKERS) == set(message._TYPES)
