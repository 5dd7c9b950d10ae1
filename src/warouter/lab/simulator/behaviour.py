"""The switches of the simulated WhatsApp itself: they mean the same at both doors. Pure.

Statuses, refusals, the customer service window, media. Each door adds its own: ``faults`` the
native one, ``cloud.faults`` the Graph API. One frozen value, so a change is a new value and nothing
sees half of it. The descriptions here are the only ones: the command's help and the control port
read them.
"""

from __future__ import annotations

from typing import Annotated, Any, Self, get_type_hints

import msgspec
from msgspec import Meta

from warouter.codes import TEMPLATE_CODES
from warouter.recipient import wa_id

LONGEST_MS = 600_000
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


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every common switch with its default; ratios are 0..1.

    ValueError (msgspec's ValidationError from ``changed``) if the delays of the statuses are not in
    their natural order, or a number is none. Codes are those of the v1 API; the Cloud door answers
    with the one of equal meaning.
    """

    sent_ms: Annotated[
        int, Meta(ge=0, le=LONGEST_MS, description="from taking a message to its `sent`, in ms")
    ] = 20
    delivered_ms: Annotated[
        int, Meta(ge=0, le=LONGEST_MS, description="from taking to `delivered`, in ms")
    ] = 60
    read_ms: Annotated[
        int, Meta(ge=0, le=LONGEST_MS, description="from taking to `read`, in ms")
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
    unknown: Annotated[
        tuple[str, ...],
        Meta(
            description="numbers that are not on WhatsApp: refused for good, templates with 1013 "
            "and all else with 470, and `invalid` when a contact check asks"
        ),
    ] = ()
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
    repeat: Annotated[
        float,
        Meta(ge=0, le=1, description="ratio of events that come a second time, 100 ms later"),
    ] = 0.0
    reorder: Annotated[
        float, Meta(ge=0, le=1, description="ratio of messages whose statuses come out of order")
    ] = 0.0
    media_ms: Annotated[
        int, Meta(ge=0, le=LONGEST_MS, description="delay of the media service's answers, in ms")
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

    def changed(self, switches: dict[str, Any]) -> Self:
        """These faults with some switches set; raises msgspec.ValidationError for wrong values."""
        return msgspec.convert(msgspec.structs.asdict(self) | switches, type(self))

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
            self.failed or self.reorder or any(self.replacing)
        )

    @property
    def replacing(self) -> tuple[float, float]:
        """Ratios of messages that get `warning` for `sent`, and `deleted` for `read`."""
        return 0.0, 0.0


def described(kind: type[Behaviour]) -> list[tuple[str, Any, str]]:
    """Name, default and description of every switch, in the order of the Struct."""
    hints = get_type_hints(kind, include_extras=True)
    calm = kind()
    return [
        (field.name, getattr(calm, field.name), hints[field.name].__metadata__[-1].description)
        for field in msgspec.structs.fields(kind)
    ]
