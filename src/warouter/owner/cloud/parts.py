"""The parts of a sender to the Cloud API, beside those that every sender has."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from warouter.owner.cloud.acks import InboxAcks
from warouter.owner.cloud.doubt_rules import RuleBook
from warouter.owner.cloud.inbox_words import InboxWords
from warouter.owner.cloud.learned_users import LearnedUsers
from warouter.owner.cloud.proving import Proving
from warouter.owner.cloud.rate.pace import Pace
from warouter.owner.cloud.rate.stop import NumberStop
from warouter.owner.cloud.readings import Readings
from warouter.upstream.cloud.graph.client import CloudUpstream


class CloudParts(NamedTuple):
    """The parts in one value.

    ``checks_identity`` tells of a number if its messages say whose identity they are meant for.
    ``until_sent``: the next message of a recipient waits for the status, too.
    """

    upstream: CloudUpstream
    pace: Pace
    rules: RuleBook
    readings: Readings
    proving: Proving
    words: InboxWords
    learned: LearnedUsers
    stop: NumberStop
    acks: InboxAcks
    checks_identity: Callable[[int], bool]
    until_sent: bool = False
