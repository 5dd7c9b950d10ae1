"""The switches of the Graph side: what becomes of requests and their connections. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from warouter.lab.simulator.behaviour import LONGEST_MS, Behaviour

Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=7 * 86400)]
Millis = Annotated[int, Meta(ge=0, le=LONGEST_MS)]
Entity = Literal["PHONE_NUMBER", "WABA", "BUSINESS", "APP"]
Limit = Literal["LIMITED", "BLOCKED"]
Trouble = Literal[
    "500", "502", "200", "131000", "131016", "redirect", "large", "endless", "unclear"
]


class GraphFaults(Behaviour, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Switches of requests; a share is the ratio of `…/messages` requests that it hits, reads
    not among them. Those that take seconds begin when they are set, and reset themselves.
    """

    level: Annotated[
        float,
        Meta(
            ge=0,
            description="messages per second, in and out, above which the answer is 130429: 80 is "
            "the level STANDARD, 1000 HIGH, 20 of a number shared with the app, 0 no limit",
        ),
    ] = 80
    pair_s: Annotated[
        Seconds, Meta(description="seconds a message to one customer (131056), 0 for no limit")
    ] = 6.0
    pair_depth: Annotated[
        int, Meta(ge=1, description="messages to one customer at once, before pair_s holds")
    ] = 45
    upgrade_s: Annotated[
        Seconds,
        Meta(
            description="answer 131057 for so many seconds; then the level is 1000 and a webhook "
            "says THROUGHPUT_UPGRADE. Resets itself"
        ),
    ] = 0.0
    throttle: Annotated[Share, Meta(description="share that is answered with throttle_as")] = 0.0
    throttle_as: Annotated[
        tuple[int, ...],
        Meta(min_length=1, description="codes of which each throttled request gets one at random"),
    ] = (130429,)
    bare_throttle: Annotated[
        Share, Meta(description="share that is answered HTTP 429 without a code")
    ] = 0.0
    code: Annotated[
        int, Meta(ge=0, description="error code of `code_share` of the requests, 0 for none")
    ] = 0
    code_share: Annotated[Share, Meta(description="share that is answered with `code`")] = 1.0
    code_http: Annotated[
        int, Meta(ge=0, le=599, description="HTTP status that `code` comes with, 0 for the usual")
    ] = 0
    no_token: Annotated[
        bool, Meta(description="answer every call, of whatever path, with 401 and code 190")
    ] = False
    expired_tokens: Annotated[
        tuple[str, ...], Meta(description="tokens that are answered with 401 and code 190")
    ] = ()
    other_tokens: Annotated[
        tuple[str, ...], Meta(description="tokens that are taken beside the configured one")
    ] = ()
    no_debug_token: Annotated[
        bool, Meta(description="refuse debug_token with 100: nobody learns what a token may do")
    ] = False
    missing_scopes: Annotated[
        tuple[str, ...],
        Meta(
            description="permissions that tokens lack: without whatsapp_business_messaging there "
            "are no messages, without whatsapp_business_management no calls of the account (200)"
        ),
    ] = ()
    granted: Annotated[
        tuple[str, ...],
        Meta(description="accounts to which the permissions are limited, as debug_token says"),
    ] = ()
    token_s: Annotated[
        Seconds,
        Meta(description="seconds that tokens still live, as debug_token says; 0: for ever"),
    ] = 0.0
    other_secret: Annotated[
        bool, Meta(description="the app secret is another app's: refuse the app's own token (190)")
    ] = False
    foreign_number: Annotated[
        bool, Meta(description="the number is none of the account's phone_numbers")
    ] = False
    missing_fields: Annotated[
        tuple[str, ...],
        Meta(description="fields that the app is not subscribed to: nobody hears of `messages`"),
    ] = ()
    errors: Annotated[
        Literal["usual", "answer", "status"],
        Meta(
            description="where refusals of the simulated WhatsApp show: as Meta does it (131026, "
            "131047, 130472 in a status, all others in the answer), all in the answer, or all in "
            "a status"
        ),
    ] = "usual"
    unknown_keys: Annotated[
        Literal["refuse", "ignore"],
        Meta(description="what becomes of a message with an unknown key at the top: 100, or taken"),
    ] = "refuse"
    history: Annotated[
        Literal["listed", "filtered", "none"],
        Meta(
            description="whether `message_history` lists all messages, only the one of a "
            "`message_id`, or is refused"
        ),
    ] = "listed"
    history_ms: Annotated[
        Millis, Meta(description="from taking a message to its entry in `message_history`, in ms")
    ] = 0
    need_plus: Annotated[bool, Meta(description="refuse numbers without a plus sign with 100")] = (
        False
    )
    unknown_media: Annotated[
        Literal[131053, 100], Meta(description="code for a media id that was never given")
    ] = 131053
    defined_only: Annotated[
        bool,
        Meta(description="refuse templates with 132001 that neither `categories` nor a call made"),
    ] = False
    categories: Annotated[
        dict[str, Literal["AUTHENTICATION", "MARKETING", "UTILITY"]],
        Meta(description='templates by name with their category: {"code": "AUTHENTICATION"}'),
    ] = msgspec.field(default_factory=dict)
    held_templates: Annotated[
        tuple[str, ...],
        Meta(description="templates that are answered held_for_quality_assessment"),
    ] = ()
    held_s: Annotated[
        Seconds, Meta(description="seconds until a held template is released or dropped")
    ] = 1200.0
    held_drop: Annotated[
        Share, Meta(description="share of held templates that are dropped: `failed` with 132015")
    ] = 0.0
    latency_ms: Annotated[
        Millis, Meta(description="from the acceptance to the answer, in ms, at least")
    ] = 0
    latency_most_ms: Annotated[
        Millis, Meta(description="the same, at most; 0 for always latency_ms")
    ] = 0
    slow: Annotated[Share, Meta(description="share that is answered slow_ms later")] = 0.0
    slow_ms: Annotated[Millis, Meta(description="see `slow`, in ms")] = 15_000
    late: Annotated[
        Share,
        Meta(
            description="share that is taken late after its last byte, also if the connection was "
            "reset meanwhile"
        ),
    ] = 0.0
    late_ms: Annotated[Millis, Meta(description="how late those are taken, in ms, at most")] = 5_000
    late_least_ms: Annotated[Millis, Meta(description="the same, at least")] = 0
    abandon: Annotated[
        Share,
        Meta(
            description="share that is looked at abandon_ms later than else, and not taken if its "
            "connection has ended by then"
        ),
    ] = 0.0
    abandon_ms: Annotated[Millis, Meta(description="see `abandon`, in ms")] = 100
    expire_ms: Annotated[
        Millis,
        Meta(
            description="what is not taken so many ms after its first byte is never taken, and has "
            "no answer; 0 for no limit"
        ),
    ] = 0
    drop_before: Annotated[
        Share, Meta(description="share whose connection is dropped before the message is taken")
    ] = 0.0
    drop_after: Annotated[
        Share,
        Meta(description="share that is taken, with the connection dropped before the answer"),
    ] = 0.0
    half: Annotated[
        Share, Meta(description="share that is taken, and closed after half of the answer")
    ] = 0.0
    unanswered: Annotated[
        Share, Meta(description="share that is taken and never answered; its connection stays")
    ] = 0.0
    fail_before: Annotated[
        Share, Meta(description="share that is not taken and answered with fail_before_as")
    ] = 0.0
    fail_before_as: Annotated[
        Trouble,
        Meta(
            description="500 (empty), 502 (a proxy's HTML page), 200 (no JSON), redirect (to "
            "another host), large (16 MiB), endless, or Graph JSON with HTTP 500: 131000, 131016; "
            "unclear: one of 500, 502, 200 and 131000 at random"
        ),
    ] = "131016"
    fail_after: Annotated[
        Share, Meta(description="share that is taken and answered with fail_after_as")
    ] = 0.0
    fail_after_as: Annotated[Trouble, Meta(description="as fail_before_as")] = "131000"
    hold_dropped_s: Annotated[
        Seconds,
        Meta(
            description="seconds by which the statuses of exactly those messages are held back "
            "whose answer is lost (drop_after, half, fail_after, unanswered, or the caller went)"
        ),
    ] = 0.0
    reset_reused: Annotated[
        Share,
        Meta(description="share of requests on a used connection that are answered with a reset"),
    ] = 0.0
    idle_s: Annotated[
        Seconds, Meta(description="close connections idle for so many seconds, 0 for never")
    ] = 0.0
    refuse: Annotated[bool, Meta(description="refuse new connections; open ones stay")] = False
    deaf_s: Annotated[
        Seconds,
        Meta(
            description="read and answer nothing for so many seconds; then take what lies in this "
            "machine's kernel, also if the other side is gone. Resets itself"
        ),
    ] = 0.0
    cut_s: Annotated[
        Seconds,
        Meta(
            description="cut the line for so many seconds: no segment passes, a reset neither, so "
            "what was sent lies in the kernel of the other side. Resets itself"
        ),
    ] = 0.0
    clock_s: Annotated[
        float,
        Meta(
            ge=-86400,
            le=86400,
            description="seconds by which Meta's clock (Date, timestamps) is ahead of ours",
        ),
    ] = 0.0
    media_url_s: Annotated[Seconds, Meta(description="life of the URLs of media, in seconds")] = (
        300.0
    )
    quality: Annotated[
        Literal["GREEN", "YELLOW", "RED", "UNKNOWN"],
        Meta(description="quality of the number, as its node says"),
    ] = "GREEN"
    marketing: Annotated[
        Literal["", "ELIGIBLE", "ONBOARDED"],
        Meta(
            description="marketing_messages_onboarding_status of the account, which opens that edge"
        ),
    ] = ""
    number_status: Annotated[
        Literal["", "FLAGGED", "RESTRICTED", "RATE_LIMITED", "BANNED"],
        Meta(description="status of the number, as its node says, in place of its own"),
    ] = ""
    name_status: Annotated[
        Literal[
            "APPROVED", "AVAILABLE_WITHOUT_REVIEW", "PENDING_REVIEW", "DECLINED", "EXPIRED", "NONE"
        ],
        Meta(description="what became of the display name, as the number's node says"),
    ] = "APPROVED"
    health: Annotated[
        dict[Entity, Limit],
        Meta(
            description="what the number's node says may send less, or not at all, with an error: "
            '{"WABA": "BLOCKED"}. It says so only: messages are taken'
        ),
    ] = msgspec.field(default_factory=dict)
