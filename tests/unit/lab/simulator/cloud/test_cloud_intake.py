"""What is taken and what is refused, switch by switch; and what the answer says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.lab.simulator.cloud.cloud_world import TO, Meta, template
from warouter.lab.simulator.cloud.graph.errors import CODES_OF_V1, GraphError
from warouter.lab.simulator.cloud.people import user_id
from warouter.lab.simulator.cloud.templates import HELD, MessageTemplate

OTHER = "+491511234568"
REFUSALS: list[tuple[dict[str, Any], dict[str, Any], int]] = [
    ({"unknown": [TO]}, {}, 131026),
    ({"unknown": [TO]}, template("t"), 131026),
    ({"blocked": [TO]}, {}, 131030),
    ({"experiment": [TO]}, {}, 130472),
    ({"incapable": [TO]}, {}, 131026),
    ({"templates": {"t": 2000}}, template("t"), 132000),
    ({"templates": {"t": 2061}}, template("t"), 132015),
    ({"templates": {"t": 2010}}, template("t"), 132012),
    ({"window": True}, {}, 131047),
    ({"spam": 1.0}, {}, 131048),
    ({"no_payment": True}, {}, 131042),
    ({"uncertified": True}, {}, 131045),
    ({"locked": True}, {}, 131031),
]


@pytest.mark.parametrize(("switches", "body", "code"), REFUSALS)
def test_refusals_show_in_the_answer_if_told(
    switches: dict[str, Any], body: dict[str, Any], code: int
) -> None:
    meta = Meta(errors="answer", **switches)
    assert meta.code(**body) == code
    assert (meta.names(), meta.world.record.counters.accepted) == ([], 0)


@pytest.mark.parametrize(("switches", "body", "code"), REFUSALS)
def test_refusals_show_in_a_status_if_told(
    switches: dict[str, Any], body: dict[str, Any], code: int
) -> None:
    meta = Meta(errors="status", **switches)
    assert meta.code(**body) == 0
    (failed,) = meta.statuses(1.0)
    assert (failed["status"], failed["errors"][0]["code"]) == ("failed", code)


@pytest.mark.parametrize(("switches", "body", "code"), REFUSALS)
def test_usually_some_are_answered_and_some_come_later(
    switches: dict[str, Any], body: dict[str, Any], code: int
) -> None:
    late = code in (131026, 131047, 130472)
    assert Meta(errors="usual", **switches).code(**body) == (0 if late else code)


def test_the_window_opens_with_a_message_of_the_customer() -> None:
    meta = Meta(window=True)
    meta.write(body="hi")
    meta.answer()
    assert meta.names() == ["sent", "delivered", "read"]


def test_every_v1_code_of_a_refusal_has_one_of_meta() -> None:
    assert {402, 430, 470, 471, 472, 480, 1007, 1013, 1026, 1031} <= set(CODES_OF_V1)


def test_the_level_is_a_rate_of_in_and_out() -> None:
    meta = Meta(level=80)
    assert [meta.code() for _ in range(85)].count(130429) == 5
    meta.wait(0.5)
    for _ in range(39):
        meta.write(body="hi")
    assert meta.code() == 0
    assert meta.code() == 130429
    assert meta.world.record.summary()["refused_codes"] == {"130429": 6}


def test_a_pair_has_a_rate_of_its_own() -> None:
    meta = Meta(pair_s=6.0, pair_depth=3)
    assert [meta.code() for _ in range(4)] == [0, 0, 0, 131056]
    assert meta.code(to=OTHER) == 0
    meta.wait(6.1)
    assert meta.code() == 0


def test_throttled_by_chance_and_any_code() -> None:
    assert Meta(throttle=1.0).code() == 130429
    assert Meta(code=368).code() == 368
    assert {Meta(code=131057, code_share=0.0).code(), Meta(code=99999).code()} == {0, 99999}


def test_an_upgrade_ends_with_a_higher_level_and_a_webhook() -> None:
    meta = Meta(level=80, upgrade_s=60)
    assert meta.code() == 131057
    assert meta.world.left(meta.now) == {"upgrade_s": 60}
    meta.wait(61)
    (value,) = meta.told()
    assert value["event"] == "THROUGHPUT_UPGRADE"
    assert (meta.world.faults.level, meta.code()) == (1000, 0)


def test_an_upgrade_can_be_ended() -> None:
    meta = Meta(upgrade_s=60)
    meta.world.calm()
    assert (meta.code(), meta.told()) == (0, [])


def test_media_that_was_never_given() -> None:
    image = {"type": "image", "image": {"id": "7"}}
    assert Meta().code(**image) == 131053
    assert Meta(unknown_media=100).code(**image) == 100
    meta = Meta()
    meta.world.is_media = lambda id: id == "7"
    assert meta.code(**image) == 0
    assert meta.world.record.media() != {}


def test_only_defined_templates_if_told() -> None:
    meta = Meta(defined_only=True, categories={"code": "AUTHENTICATION"})
    assert meta.code(**template("other")) == 132001
    assert meta.code(**template("code")) == 0
    meta.world.templates.make(MessageTemplate("other", "MARKETING"))
    assert meta.code(**template("other")) == 0
    categories = [s["pricing"]["category"] for s in meta.statuses(0.03) if "pricing" in s]
    assert categories == ["authentication", "marketing"]


def test_the_identity_hash_is_checked_if_the_number_asks_for_it() -> None:
    meta = Meta()
    meta.answer()
    identity = meta.world.intake.identities.of(TO)
    assert identity is not None
    assert meta.code(recipient_identity_key_hash="wrong") == 0
    meta.world.intake.checks_identity = True
    assert meta.code(recipient_identity_key_hash="wrong") == 137000
    assert meta.code(recipient_identity_key_hash=identity.hash) == 0
    assert meta.statuses(0.03)[0]["recipient_identity_key_hash"] == identity.hash


def test_a_changed_identity_is_refused_until_its_hash_is_sent() -> None:
    meta = Meta(identity_check=True)
    new = meta.world.intake.identities.change(TO, 1.0)
    assert meta.code() == 137000
    assert meta.code(recipient_identity_key_hash=new.hash) == 0
    assert meta.code() == 0


def test_a_held_template_says_nothing_until_it_is_released() -> None:
    meta = Meta(held_templates=("promo",), held_s=1200)
    assert meta.template("promo")["messages"][0]["message_status"] == HELD
    assert meta.template("news")["messages"][0]["message_status"] == "accepted"
    assert len(meta.statuses(1199)) == 3
    late = meta.statuses(2)
    assert [s["status"] for s in late] == ["sent", "delivered", "read"]
    assert int(late[0]["timestamp"]) >= int(meta.now) - 2 + 1_764_000_000


def test_a_held_template_may_be_dropped() -> None:
    meta = Meta(held_templates=("promo",), held_s=10, held_drop=1.0)
    meta.template("promo")
    (failed,) = meta.statuses(11)
    assert failed["errors"][0]["code"] == 132015


def test_the_answer_names_the_customer_as_meta_knows_them() -> None:
    contact = Meta().answer(to="+49 (151) 1234567")["contacts"][0]
    assert contact == {"input": "+49 (151) 1234567", "wa_id": TO, "user_id": user_id(TO)}
    assert "wa_id" not in Meta(withheld=(TO,)).answer()["contacts"][0]
    answer = Meta(respell=True).answer(to="+5511987654321")
    assert answer["contacts"][0]["wa_id"] == "551187654321"
    meta = Meta()
    answer = meta.answer(to="", recipient=user_id(TO))
    assert answer["contacts"][0]["wa_id"] == TO
    assert meta.statuses(0.03)[0]["recipient_id"] == TO


def test_a_user_id_of_nobody_fails() -> None:
    meta = Meta()
    answer = meta.answer(to="", recipient="US.1122")
    assert answer["contacts"] == [{"input": "US.1122", "user_id": "US.1122"}]
    (failed,) = meta.statuses(1)
    assert (failed["errors"][0]["code"], failed["recipient_user_id"]) == (131026, "US.1122")
    assert "recipient_id" not in failed


def test_refusals_have_words_of_meta() -> None:
    with pytest.raises(GraphError) as error:
        Meta(locked=True).answer()
    assert "policy" in error.value.details
