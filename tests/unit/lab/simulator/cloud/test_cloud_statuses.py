"""Statuses in Meta's form: which come, when, and what they say."""

from __future__ import annotations

from tests.unit.lab.simulator.cloud.cloud_world import TO, WALL, Meta, template
from warouter.lab.simulator.cloud.people import user_id


def test_three_statuses_in_order_with_the_reference() -> None:
    meta = Meta()
    wamid = meta.answer(biz_opaque_callback_data="w1.x")["messages"][0]["id"]
    assert [s["status"] for s in meta.statuses(0.0201)] == ["sent"]
    assert [s["status"] for s in meta.statuses(0.0401)] == ["delivered"]
    (read,) = meta.statuses(0.1)
    assert read == {
        "id": wamid,
        "status": "read",
        "timestamp": str(int(WALL + 100.15)),
        "recipient_id": TO,
        "recipient_user_id": user_id(TO),
        "biz_opaque_callback_data": "w1.x",
    }


def test_the_price_is_on_sent_and_on_one_more() -> None:
    meta = Meta()
    meta.answer()
    priced = {s["status"]: s["pricing"] for s in meta.statuses(1) if "pricing" in s}
    assert set(priced) == {"sent", "delivered"}
    assert priced["sent"]["type"] == "free_customer_service"
    meta.use(delivered=0.0)
    meta.answer(**template("t"))
    priced = {s["status"]: s["pricing"] for s in meta.statuses(1) if "pricing" in s}
    assert set(priced) == {"sent", "read"}
    assert priced["sent"] == {
        "billable": True,
        "pricing_model": "PMP",
        "type": "regular",
        "category": "utility",
    }


def test_older_versions_show_a_conversation() -> None:
    meta = Meta(webhook_version=23)
    meta.answer()
    assert "conversation" in meta.statuses(1)[0]
    meta.use(webhook_version=24)
    meta.answer()
    assert "conversation" not in meta.statuses(1)[0]


def test_a_failed_message_has_its_error_and_no_contact() -> None:
    meta = Meta(failed=1.0, failed_code=131049)
    meta.answer(biz_opaque_callback_data="w1.x")
    meta.wait(1)
    (value,) = meta.told()
    assert "contacts" not in value
    (failed,) = value["statuses"]
    assert failed["errors"][0]["code"] == 131049
    assert set(failed["errors"][0]) == {"code", "title", "message", "error_data", "href"}
    assert failed["biz_opaque_callback_data"] == "w1.x"


def test_the_reference_is_left_out_if_told() -> None:
    meta = Meta(opaque="not_failed", failed=1.0)
    meta.answer(biz_opaque_callback_data="w1.x")
    assert "biz_opaque_callback_data" not in meta.statuses(1)[0]
    meta.use(opaque="not_failed")
    meta.answer(biz_opaque_callback_data="w1.x")
    assert all("biz_opaque_callback_data" in s for s in meta.statuses(1))
    meta.use(opaque="never")
    meta.answer(biz_opaque_callback_data="w1.x")
    assert not any("biz_opaque_callback_data" in s for s in meta.statuses(1))


def test_contacts_come_with_the_statuses_or_do_not() -> None:
    meta = Meta()
    meta.answer()
    meta.wait(1)
    assert meta.told()[0]["contacts"][0]["user_id"] == user_id(TO)
    meta.use(contacts=False)
    meta.answer()
    meta.wait(1)
    assert "contacts" not in meta.told()[0]


def test_a_withheld_number_is_nowhere() -> None:
    meta = Meta(withhold=1.0)
    meta.answer()
    meta.wait(1)
    (value,) = meta.told()
    assert all("recipient_id" not in s for s in value["statuses"])
    assert all("wa_id" not in c for c in value["contacts"])
    assert all(s["recipient_user_id"] == user_id(TO) for s in value["statuses"])


def test_voice_notes_are_played() -> None:
    meta = Meta(played_ms=300)
    meta.world.is_media = lambda id: True
    voice = {"type": "audio", "audio": {"id": "1", "voice": True}}
    meta.answer(**voice)
    assert meta.names(0.29) == ["sent", "delivered", "read"]
    assert meta.names(0.02) == ["played"]
    meta.use(played=0.0)
    meta.answer(**voice)
    assert "played" not in meta.names()


def test_steps_are_skipped_reordered_and_contradict_each_other() -> None:
    meta = Meta(delivered=0.0)
    meta.answer()
    assert meta.names() == ["sent", "read"]
    meta.use(reorder=1.0)
    meta.answer()
    names = meta.names()
    assert sorted(names) == ["delivered", "read", "sent"]
    assert names != ["sent", "delivered", "read"]
    meta.use(contradict=1.0)
    meta.answer()
    assert sorted(meta.names()) == ["delivered", "failed", "read", "sent"]


def test_statuses_held_back_come_later_and_say_when_they_happened() -> None:
    meta = Meta()
    meta.answer(held=30.0)
    assert meta.names(29) == []
    late = meta.statuses(2)
    assert [s["status"] for s in late] == ["sent", "delivered", "read"]
    assert late[0]["timestamp"] == str(int(WALL + 100))


def test_metas_clock_may_be_ahead() -> None:
    meta = Meta(clock_s=60)
    meta.answer()
    assert meta.statuses(0.03)[0]["timestamp"] == str(int(WALL + 160))


def test_no_webhook_is_kept_while_nobody_is_subscribed() -> None:
    meta = Meta()
    meta.world.heard = False
    meta.answer()
    assert meta.told() == []
    assert len(meta.world.outbox) == 0
    meta.wait(1)
    meta.told()
    assert meta.world.record.statuses == {"sent": 1, "delivered": 1, "read": 1}


def test_statuses_come_spread_over_random_times_in_their_order() -> None:
    meta = Meta(spread_ms=1000)
    meta.answer()
    meta.answer()
    happened = [due.after for due in meta.world.timetable.due(1e9)]
    assert len({round(after, 3) for after in happened}) == 6
    assert happened == sorted(happened)
    meta.answer()
    assert meta.names(60.0) == ["sent", "delivered", "read"]


def test_before_there_were_user_ids_nothing_shows_one() -> None:
    meta = Meta(user_ids=False)
    shown = repr(meta.answer())
    meta.write(body="x")
    meta.wait(1)
    shown += repr(meta.told())
    assert "delivered" in shown
    assert "user_id" not in shown
