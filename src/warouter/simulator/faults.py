"""The simulator's switches: faults, and the speed of everything else.

One frozen value, so a change is a new value and nothing sees half of it. The descriptions here are
the only ones: the command's help and the control port read them.
"""

from __future__ import annotations

from typing import Annotated, Any, get_type_hints

import msgspec
from msgspec import Meta

from warouter.codes import TEMPLATE_CODES
from warouter.recipient import wa_id

_LONGEST_MS = 600_000
# The switches that hold wa_ids, and the others for which messages are refused for good.
NUMBERS = ("unknown", "blocked", "experiment", "incapable")
_REFUSING = (
    "templates",
    "window",
    "identity_check",
    "tier",
    "spam",
    "no_payment",
    "uncertified",
    "locked",
)


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every switch with its default; ratios are 0..1, rates are messages per second.

    ValueError (msgspec's ValidationError from ``changed``) if the delays of the statuses are not in
    their natural order, or a number is none.
    """

    sent_ms: Annotated[
        int, Meta(ge=0, le=_LONGEST_MS, description="from taking a message to its `sent`, in ms")
    ] = 20
    delivered_ms: Annotated[
        int, Meta(ge=0, le=_LONGEST_MS, description="from taking to `delivered`, in ms")
    ] = 60
    read_ms: Annotated[
        int, Meta(ge=0, le=_LONGEST_MS, description="from taking to `read`, in ms")
    ] = 150
    sent: Annotated[float, Meta(ge=0, le=1, description="ratio of messages that get `sent`")] = 1.0
    delivered: Annotated[
        float, Meta(ge=0, le=1, description="ratio of messages that get `delivered`")
    ] = 1.0
    read: Annotated[float, Meta(ge=0, le=1, description="ratio of messages that get `read`")] = 1.0
    failed: Annotated[
        float,
        Meta(ge=0, le=1, description="ratio of messages that are taken and end as `failed` (1026)"),
    ] = 0.0
    warning: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="ratio of messages that get `warning` (an item is not in the catalog) in "
            "place of `sent`",
        ),
    ] = 0.0
    deleted: Annotated[
        float,
        Meta(ge=0, le=1, description="ratio of messages that get `deleted` in place of `read`"),
    ] = 0.0
    unknown: Annotated[
        tuple[str, ...],
        Meta(
            description="numbers that are not on WhatsApp: refused for good, templates with 1013 "
            "and all else with 470, and `invalid` when a contact check asks"
        ),
    ] = ()
    no_contacts: Annotated[
        bool, Meta(description="answer contact checks with 503: the API shows them as `failed`")
    ] = False
    blocked: Annotated[
        tuple[str, ...],
        Meta(description="numbers that blocked the business: refused for good with 1007"),
    ] = ()
    experiment: Annotated[
        tuple[str, ...],
        Meta(description="numbers that are part of an experiment: refused for good with 472"),
    ] = ()
    incapable: Annotated[
        tuple[str, ...],
        Meta(description="numbers whose app cannot show messages: refused for good with 1026"),
    ] = ()
    templates: Annotated[
        dict[str, int],
        Meta(
            description="templates by name that are refused for good, each with its code: "
            '{"promo": 2061}; 2000 parameters, 2001 not there, 2061 paused, 2062 disabled ...'
        ),
    ] = {}
    window: Annotated[
        bool,
        Meta(
            description="enforce the customer service window: anything but a template is refused "
            "with 470 unless the customer wrote in the last 24 hours"
        ),
    ] = False
    identity_check: Annotated[
        bool,
        Meta(
            description="refuse messages with 480 to customers whose identity changed and is not "
            "acknowledged"
        ),
    ] = False
    tier: Annotated[
        int,
        Meta(
            ge=0,
            description="recipients in 24 hours who have not written first, 0 for no limit; "
            "messages to more of them are refused with 471",
        ),
    ] = 0
    spam: Annotated[
        float, Meta(ge=0, le=1, description="ratio of messages that are refused as spam with 471")
    ] = 0.0
    no_payment: Annotated[
        bool, Meta(description="the account cannot pay: refuse every message with 402")
    ] = False
    uncertified: Annotated[
        bool, Meta(description="the certificate is not signed: refuse every message with 430")
    ] = False
    locked: Annotated[
        bool, Meta(description="the account is locked: refuse every message with 1031")
    ] = False
    throttle: Annotated[
        float,
        Meta(ge=0, le=1, description="ratio of messages answered 429, to be tried again"),
    ] = 0.0
    throttle_ms: Annotated[
        int,
        Meta(ge=0, le=_LONGEST_MS, description="time after which a 429 asks for a retry, in ms"),
    ] = 100
    rate: Annotated[
        float,
        Meta(
            ge=0,
            description="messages taken per second and connection, 0 for no limit; what exceeds it "
            "waits in order and is answered later",
        ),
    ] = 0.0
    pair_rate: Annotated[
        float,
        Meta(
            ge=0,
            description="messages taken per second and recipient, 0 for no limit; what exceeds it "
            "is answered 131056, to be tried again",
        ),
    ] = 0.0
    latency_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=_LONGEST_MS,
            description="delay of everything the simulator sends, in ms; from 1500 on coreapps "
            "consider it lost",
        ),
    ] = 0
    repeat: Annotated[
        float,
        Meta(ge=0, le=1, description="ratio of events that come a second time, 100 ms later"),
    ] = 0.0
    reorder: Annotated[
        float, Meta(ge=0, le=1, description="ratio of messages whose statuses come out of order")
    ] = 0.0
    disconnect: Annotated[
        bool, Meta(description="drop every connection once; the switch resets itself")
    ] = False
    refuse: Annotated[bool, Meta(description="refuse new connections; open ones stay")] = False
    forget_fence: Annotated[
        bool,
        Meta(
            description="grant every claim, revoke none and take sends of any epoch; stale ones "
            "are still counted, and events still go to the newest claim"
        ),
    ] = False
    pause: Annotated[
        bool, Meta(description="take no message: sends wait unanswered until it is off")
    ] = False
    lost_answers: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="ratio of answers, to messages and to claims, that are never sent; what "
            "was taken stays taken",
        ),
    ] = 0.0
    broken_answers: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="ratio of answers whose frame cannot be decoded: a field of the wrong "
            "type, truncated, or larger than the limit",
        ),
    ] = 0.0
    broken_events: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="ratio of events that come after a broken event of their slot, which is "
            "repeated until it is acknowledged, and after a malformed frame",
        ),
    ] = 0.0
    media_ms: Annotated[
        int, Meta(ge=0, le=_LONGEST_MS, description="delay of the media service's answers, in ms")
    ] = 0
    media_status: Annotated[
        int, Meta(ge=0, le=599, description="HTTP status of all its answers, 0 for the right ones")
    ] = 0

    def __post_init__(self) -> None:
        if not self.sent_ms <= self.delivered_ms <= self.read_ms:
            raise ValueError("sent_ms, delivered_ms and read_ms must not decrease")
        for name in NUMBERS:
            for number in getattr(self, name):
                if wa_id(number) != number:
                    raise ValueError(f"{name} holds wa_ids (digits only), not {number!r}")
        for code in self.templates.values():
            if code not in TEMPLATE_CODES:
                raise ValueError(
                    f"{code} is not a template error code ({TEMPLATE_CODES[0]} to 2062)"
                )

    def changed(self, switches: dict[str, Any]) -> Faults:
        """These faults with some switches set; raises msgspec.ValidationError for wrong values."""
        return msgspec.convert(msgspec.structs.asdict(self) | switches, Faults)

    @property
    def delays(self) -> tuple[float, float, float]:
        """Seconds from taking a message to its first, second and third status."""
        return self.sent_ms / 1000, self.delivered_ms / 1000, self.read_ms / 1000

    @property
    def refuses(self) -> bool:
        """True if some messages may be refused for good."""
        return any(getattr(self, name) for name in (*NUMBERS, *_REFUSING))

    @property
    def all_statuses(self) -> bool:
        """True if every message gets its three statuses in order, so that nothing is drawn."""
        ratios = (self.sent, self.delivered, self.read)
        return ratios == (1.0, 1.0, 1.0) and not (
            self.failed or self.warning or self.deleted or self.reorder
        )


def described() -> list[tuple[str, Any, str]]:
    """Name, default and description of every switch, in the order of the Struct."""
    hints = get_type_hints(Faults, include_extras=True)
    calm = Faults()
    return [
        (field.name, getattr(calm, field.name), hints[field.name].__metadata__[0].description)
        for field in msgspec.structs.fields(Faults)
    ]
