"""The switches of webhooks: what they say, how they are packed, what becomes of them. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from warouter.lab.simulator.cloud.graph_faults import GraphFaults, Millis, Seconds, Share


class WebhookFaults(GraphFaults, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Switches of webhooks, beside those of requests."""

    played: Annotated[Share, Meta(description="ratio of voice notes that are `played`")] = 1.0
    played_ms: Annotated[
        Millis, Meta(description="from taking a voice note to `played`, in ms")
    ] = 300
    spread_ms: Annotated[
        Millis,
        Meta(
            description="mean of the random time (exponentially distributed) by which each status "
            "happens later than its delay, and those after it too, in ms"
        ),
    ] = 0
    failed_code: Annotated[int, Meta(ge=1, description="error code of `failed` messages")] = 131026
    contradict: Annotated[
        Share,
        Meta(
            description="ratio of messages that are both: `failed` before or after `delivered`, at "
            "random"
        ),
    ] = 0.0
    opaque: Annotated[
        Literal["always", "not_failed", "never"],
        Meta(description="which statuses echo biz_opaque_callback_data"),
    ] = "always"
    contacts: Annotated[
        bool, Meta(description="sent, delivered and read come with `contacts`, as since 2026-04")
    ] = True
    webhook_version: Annotated[
        int,
        Meta(
            ge=17,
            le=99,
            description="Graph version of the webhooks; up to 23 they show a conversation",
        ),
    ] = 25
    user_ids: Annotated[
        bool, Meta(description="webhooks and answers show user ids (BSUID), as since 2026")
    ] = True
    withheld: Annotated[
        tuple[str, ...],
        Meta(description="numbers that webhooks and answers never show: only the user id (BSUID)"),
    ] = ()
    withhold: Annotated[
        Share, Meta(description="ratio of all customers whose number is withheld, ever the same")
    ] = 0.0
    respell: Annotated[
        bool,
        Meta(
            description="show wa_ids of Brazil and Mexico with a digit more or less than was sent"
        ),
    ] = False
    batch: Annotated[
        int, Meta(ge=1, le=1000, description="most elements (statuses, messages) in one POST")
    ] = 100
    entries: Annotated[
        int, Meta(ge=1, le=100, description="entries over which the elements of a POST are dealt")
    ] = 1
    changes: Annotated[
        int, Meta(ge=1, le=100, description="changes of an entry over which they are dealt")
    ] = 1
    gather_ms: Annotated[Millis, Meta(description="how long elements wait for others, in ms")] = 20
    posts: Annotated[int, Meta(ge=1, le=1000, description="POSTs that run at the same time")] = 16
    timeout_ms: Annotated[
        int, Meta(ge=1, le=600_000, description="time for an answer to a POST, in ms")
    ] = 10_000
    retry_ms: Annotated[
        int,
        Meta(
            ge=1,
            le=86_400_000,
            description="from a failed POST to its repetition, in ms; doubles each time, and is "
            "drawn between 80 and 120 % of that",
        ),
    ] = 5_000
    retry_most_s: Annotated[Seconds, Meta(description="the longest of those waits, in seconds")] = (
        3600.0
    )
    give_up_s: Annotated[
        Seconds, Meta(description="a POST is dropped so many seconds after its first failure")
    ] = 7 * 86400.0
    second_app: Annotated[
        Share, Meta(description="ratio of POSTs that come twice at once, as for a second app")
    ] = 0.0
    straggle: Annotated[
        Share, Meta(description="ratio of elements that come late, after newer ones")
    ] = 0.0
    straggle_ms: Annotated[
        int, Meta(ge=0, le=86_400_000, description="how late those come, in ms, at most")
    ] = 2_000
    repeat_ms: Annotated[Millis, Meta(description="how much later a `repeat` comes, in ms")] = 100
    hold_webhooks_s: Annotated[
        Seconds,
        Meta(
            description="send no POST for so many seconds; then all come at once, in any order. "
            "Resets itself"
        ),
    ] = 0.0
    outage_s: Annotated[
        Seconds,
        Meta(
            description="for so many seconds POSTs fail before they reach anybody, and are "
            "repeated as failed ones are. Resets itself"
        ),
    ] = 0.0
    outage_every: Annotated[
        int, Meta(ge=1, le=1000, description="which POSTs fail then: 1 all, 2 every second one")
    ] = 1
