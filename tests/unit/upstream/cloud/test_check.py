"""What each step of `warouter cloud check` makes of what was found."""

from __future__ import annotations

from datetime import date
from email.utils import formatdate
from typing import Any

import pytest
from msgspec.structs import replace

from warouter.cloud_settings import CloudSettings
from warouter.upstream.cloud.answers import judge as judge_answer
from warouter.upstream.cloud.check import (
    account,
    callback,
    number,
    reach,
    secret,
    settings,
    token,
    webhooks,
)
from warouter.upstream.cloud.check.callback import Handshake
from warouter.upstream.cloud.check.contact import ContactTrouble, ServerContact, remedy
from warouter.upstream.cloud.check.step import CheckStep, StepResult, ok, shown
from warouter.upstream.cloud.graph.described import WebhookUrls, number_fields, token_facts
from warouter.upstream.cloud.graph.failed import CallAway, CallFailed, CallRefused

NOW, DAY = 1_764_000_000, 86_400
OK, WARNING, FAILED, SKIPPED = (
    StepResult.OK,
    StepResult.WARNING,
    StepResult.FAILED,
    StepResult.SKIPPED,
)
BASE, PATH = "https://graph.facebook.com", "/cloud/webhook"
URL = f"https://hooks.example/{PATH[1:]}"
SCOPES = ["whatsapp_business_management", "whatsapp_business_messaging"]


def refusal(code: int, words: str = "no", status: int = 400) -> CallFailed:
    body = b'{"error":{"code":%d,"message":"%s"}}' % (code, words.encode())
    return CallRefused("refused", judge_answer(status, body))


AWAY = CallAway("the Graph API: it took too long")


# The token


def facts(**given: Any) -> Any:
    said = {"app_id": "7", "is_valid": True, "scopes": SCOPES, "expires_at": 0}
    return token_facts(said | given)


@pytest.mark.parametrize(
    ("given", "result", "said"),
    [
        ({"type": "SYSTEM_USER"}, OK, "It is of a system user, for app 7, and never ends."),
        ({"type": "USER"}, WARNING, "It is of a person, for app 7, and never ends. Use one of a"),
        ({"expires_at": None}, OK, "for app 7, and Meta does not say when it ends."),
        ({"expires_at": 253_402_300_800}, OK, "for app 7, and Meta does not say when it ends."),
        ({"expires_at": NOW + 60 * DAY}, OK, "and ends in 60 days."),
        ({"expires_at": NOW + 14 * DAY}, OK, "and ends in 14 days."),
        ({"expires_at": NOW + 14 * DAY - 1}, WARNING, "and ends in 13 days. Make a new one"),
        ({"expires_at": NOW + DAY}, WARNING, "and ends in 1 day."),
        ({"expires_at": NOW + 1}, WARNING, "and ends within a day."),
        ({"expires_at": NOW}, FAILED, "It has ended."),
        ({"data_access_expires_at": NOW + 2 * DAY}, WARNING, "and ends in 2 days."),
        ({"expires_at": NOW + 9 * DAY, "data_access_expires_at": NOW - 1}, FAILED, "has ended."),
        ({"is_valid": False}, FAILED, "not valid: it ended or was revoked. Make a new one"),
    ],
)
def test_the_token(given: dict[str, Any], result: StepResult, said: str) -> None:
    step = token.judge(facts(**given), NOW)
    assert (step.result, said in f"{step.found} {step.todo}") == (result, True), step


@pytest.mark.parametrize(
    ("error", "result", "said"),
    [
        (refusal(190, status=401), FAILED, "Meta does not take it: no"),
        (refusal(100), WARNING, "nor when it ends: no."),
        (refusal(200, status=403), WARNING, "nor when it ends: no."),
        (refusal(4), FAILED, "Meta cannot be asked about it: no."),
        (AWAY, FAILED, "Meta cannot be asked about it: the Graph API: it took too long."),
    ],
)
def test_a_token_that_cannot_be_asked_about(
    error: CallFailed, result: StepResult, said: str
) -> None:
    step = token.judge_refusal(error)
    assert (step.result, said in step.found) == (result, True), step


def granted(scope: str, *ids: str) -> dict[str, Any]:
    return {"scope": scope, "target_ids": list(ids)}


@pytest.mark.parametrize(
    ("given", "result", "said"),
    [
        ({}, OK, "The token has"),
        ({"scopes": SCOPES[:1]}, FAILED, "lacks whatsapp_business_messaging."),
        ({"scopes": []}, FAILED, "lacks whatsapp_business_messaging and whatsapp_business_man"),
        ({"granular_scopes": [{"scope": s} for s in SCOPES]}, OK, "The token has"),
        ({"granular_scopes": [granted(s, "1", "2") for s in SCOPES]}, OK, "The token has"),
        (
            {"granular_scopes": [granted(SCOPES[0], "1"), granted(SCOPES[1], "2")]},
            FAILED,
            "whatsapp_business_messaging are for other accounts than 1.",
        ),
    ],
)
def test_the_permissions(given: dict[str, Any], result: StepResult, said: str) -> None:
    step = token.judge_permissions(facts(**given), "1")
    assert (step.result, said in step.found) == (result, True), step


def test_permissions_of_which_meta_says_nothing() -> None:
    assert token.judge_permissions(None, "1").result is SKIPPED


@pytest.mark.parametrize(
    ("right", "result", "said"),
    [
        ([True], OK, "It is of app 7."),
        ([True, True], OK, "All 2 are of app 7."),
        ([False], FAILED, "It is not the secret of app 7"),
        ([False, False], FAILED, "It is not the secret of app 7"),
        ([True, False], WARNING, "Line 2 is not of app 7; the others are."),
        ([False, True, False], WARNING, "Lines 1 and 3 are not of app 7"),
    ],
)
def test_app_secrets(right: list[bool], result: StepResult, said: str) -> None:
    step = secret.judge("7", right)
    assert (step.result, said in step.found) == (result, True), step


# The number and its account

WELL = {
    "display_phone_number": "+1 555",
    "verified_name": "Bakery",
    "status": "CONNECTED",
    "quality_rating": "GREEN",
    "name_status": "APPROVED",
    "code_verification_status": "VERIFIED",
    "platform_type": "CLOUD_API",
    "health_status": {"can_send_message": "AVAILABLE", "entities": []},
}


def health(state: str, *errors: dict[str, str]) -> dict[str, Any]:
    waba = {"entity_type": "WABA", "id": "9", "can_send_message": state, "errors": list(errors)}
    entities = [{"entity_type": "APP", "id": "8", "can_send_message": "AVAILABLE"}, waba]
    return {"health_status": {"can_send_message": state, "entities": entities}}


PAYMENT = {"error_description": "No payment.", "possible_solution": "Pay."}


@pytest.mark.parametrize(
    ("given", "result", "said"),
    [
        ({}, OK, "+1 555 (Bakery) is CONNECTED, quality GREEN."),
        ({"verified_name": None, "quality_rating": 7}, OK, "+1 555 is CONNECTED."),
        ({"status": "PENDING"}, FAILED, "is PENDING, not CONNECTED. Register it with POST"),
        ({"status": ""}, FAILED, "is without a status, not CONNECTED."),
        (
            {"status": "PENDING", "code_verification_status": "EXPIRED"},
            FAILED,
            "POST /v1/account has a code sent",
        ),
        ({"platform_type": "ON_PREMISE"}, FAILED, "is registered with ON_PREMISE, not here."),
        ({"status": "BANNED"}, FAILED, "is BANNED, not CONNECTED. See WhatsApp Manager"),
        ({"status": "", "display_phone_number": ""}, FAILED, "5 is no phone number's id. Check"),
        ({"quality_rating": "YELLOW"}, WARNING, "is CONNECTED; its quality is YELLOW."),
        ({"status": "FLAGGED"}, WARNING, "is FLAGGED; Meta limits it. See WhatsApp Manager"),
        ({"quality_rating": "RED"}, WARNING, "is CONNECTED; its quality is RED."),
        ({"name_status": "DECLINED"}, WARNING, "; its name is DECLINED."),
        ({"name_status": "AVAILABLE_WITHOUT_REVIEW"}, OK, "CONNECTED"),
        (health("BLOCKED", PAYMENT), FAILED, "cannot send. WABA 9 is BLOCKED: No payment. Pay."),
        (health("LIMITED", PAYMENT, PAYMENT), WARNING, "limits. WABA 9 is LIMITED: No payment."),
        (health("BLOCKED"), FAILED, "WABA 9 is BLOCKED: no reason given. See WhatsApp Manager"),
        ({"health_status": {"can_send_message": "BLOCKED"}}, FAILED, "Meta gives no reason."),
    ],
)
def test_the_number(given: dict[str, Any], result: StepResult, said: str) -> None:
    step = number.judge(number_fields(WELL | given), "5")
    assert (step.result, said in f"{step.found} {step.todo}") == (result, True), step


@pytest.mark.parametrize(
    ("level", "rate", "result", "said"),
    [
        ("STANDARD", None, OK, "The level STANDARD is 80 messages/s, in and out together."),
        ("HIGH", None, OK, "The level HIGH is 1000 messages/s"),
        ("NOT_APPLICABLE", None, OK, "is 20 messages/s"),
        ("", None, WARNING, "Meta's level (none) is not known here: it is taken for 80"),
        ("STANDARD", 80.0, OK, "; WAROUTER_CLOUD_RATE makes 80 of it."),
        ("STANDARD", 81.0, WARNING, "is 81: Meta refuses what is above."),
    ],
)
def test_the_throughput(level: str, rate: float | None, result: StepResult, said: str) -> None:
    step = number.judge_throughput(level, rate)
    assert (step.result, said in step.found) == (result, True), step


def test_a_number_and_an_account_that_are_not_shown() -> None:
    for step in (number.judge_refusal(refusal(33), "5"), account.judge_refusal(refusal(33), "5")):
        assert (step.result, step.found.startswith("This token is shown no ")) == (FAILED, True)
    for error in (AWAY, refusal(4), refusal(2, status=500)):
        for step in (number.judge_refusal(error, "5"), account.judge_refusal(error, "5")):
            assert (step.result, step.todo) == (FAILED, "Try again.")
            assert step.found.startswith("Meta cannot be asked about it: ")


def test_the_number_is_one_of_the_account_s() -> None:
    assert account.judge("9", "", {"4", "5"}, "5").found == "9 has the number."
    step = account.judge("9", "Bakery", {"4"}, "5")
    said = "Account 9 (Bakery) does not have the number 5: it has one other."
    assert (step.result, step.found) == (FAILED, said)


# Webhooks

ALL = {webhooks.FIELD, *webhooks.NOTICES}


@pytest.mark.parametrize(
    ("apps", "app", "callbacks", "result", "said"),
    [
        ({"7"}, "7", (URL, "", URL), OK, f"to {URL}, which is set for this number."),
        ({"7"}, "7", ("", URL, URL), OK, f"to {URL}, the account's URL."),
        ({"7"}, "7", (URL, "", ""), WARNING, "go to the app's URL alone, which is not set."),
        ({"7"}, "7", ("", URL, "https://x/"), WARNING, "alone, which is at https://x/."),
        ({"7", "8"}, "", ("", "", URL), OK, f"to {URL}, the app's URL."),
        ({"8"}, "7", (URL, "", ""), FAILED, "app 7 is not subscribed to the account."),
        (set(), "", (URL, "", ""), FAILED, "any app is not subscribed to the account."),
        ({"7"}, "7", ("", "", ""), FAILED, "no callback URL is set"),
        ({"7"}, "7", ("http://x/cloud/webhook", "", ""), FAILED, "it must begin with https://"),
        ({"7"}, "7", ("", "", "https://x/other"), WARNING, "to https://x/other"),
    ],
)
def test_webhooks(apps: set[str], app: str, callbacks: Any, result: StepResult, said: str) -> None:
    step = webhooks.judge(apps, app, ALL, WebhookUrls(*callbacks), BASE)
    assert (step.result, said in step.found) == (result, True), step


def test_the_field_of_messages() -> None:
    assert webhooks.judge({"7"}, "7", None, WebhookUrls(URL, "", URL), BASE).result is OK
    step = webhooks.judge({"7"}, "7", {"security"}, WebhookUrls(URL, "", URL), BASE)
    assert step.result is FAILED
    assert step.found.endswith("But app 7 is shown without the field messages.")


def test_the_fields_that_tell_of_trouble() -> None:
    step = webhooks.judge({"7"}, "7", ALL - {"account_update"}, WebhookUrls(URL, "", URL), BASE)
    assert step.result is WARNING
    assert step.found.endswith("But app 7 is shown without account_update, which tell of trouble.")


@pytest.mark.parametrize(
    ("url", "base", "fits"),
    [
        (URL, BASE, True),
        ("https://hooks.example:8443/x?y=1", BASE, True),
        ("https://hooks.example/" + "x" * 178, BASE, True),
        ("https://hooks.example/" + "x" * 179, BASE, False),
        ("http://127.0.0.1/", BASE, False),
        ("http://127.0.0.1/", "http://127.0.0.1:6270", True),
        ("http://hooks.example/", "http://127.0.0.1:6270", False),
        ("https://[::1/", BASE, False),
        ("https:///x", BASE, False),
        ("https://hooks.example/#x", BASE, False),
        ("https://hooks.example/\n", BASE, False),
        ("https://hooks.exämple/", BASE, False),
        ("https://hooks\\.example/", BASE, False),
        ("", BASE, False),
    ],
)
def test_a_url_that_meta_can_call(url: str, base: str, fits: bool) -> None:
    assert (webhooks.fault(url, base) == "") is fits


@pytest.mark.parametrize("trouble", ContactTrouble)
def test_trouble_with_the_callback_is_a_hint(trouble: ContactTrouble) -> None:
    found = Handshake(URL, ServerContact(trouble, "why"), right=False)
    step = callback.judge(found)
    assert step.result is WARNING
    assert f"hooks.example {trouble.value} (why)." in step.found
    assert step.todo == remedy(trouble)
    assert callback.hint(found) == f"Seen from here, hooks.example {trouble.value} (why). " + (
        remedy(trouble)
    )


def test_trouble_with_an_address_that_is_the_same_for_everybody() -> None:
    found = Handshake(
        "http://127.0.0.1:1/cloud/webhook", ServerContact(ContactTrouble.REFUSED), right=False
    )
    step = callback.judge(found)
    assert (step.result, step.found) == (FAILED, "127.0.0.1:1 cannot be connected to.")


def test_findings_about_the_callbacks_answer() -> None:
    right = Handshake(URL, ServerContact(status=200), right=True)
    assert callback.judge(right).result is OK
    assert callback.hint(right).startswith("It answers from here, so Meta does not get there")
    other = Handshake(URL, ServerContact(status=403), right=False, by_webapp=True)
    assert callback.judge(other).result is FAILED
    assert "has another verify token" in callback.hint(other)
    for status, said in ((200, "but not with the challenge"), (403, "answers HTTP 403")):
        step = callback.judge(Handshake(URL, ServerContact(status=status), right=False))
        assert (step.result, said in step.found) == (WARNING, True)


# The way there


def contact(ahead: float = 0, took: float = 0.1, **given: Any) -> ServerContact:
    """An answer to a clock that is so much ahead of Meta's."""
    sent = NOW + 0.5 + ahead - took / 2
    date_of = formatdate(NOW, usegmt=True)
    return ServerContact(
        **{"date": date_of, "sent": sent, "heard": sent + took, "status": 400} | given
    )


@pytest.mark.parametrize(
    ("found", "result", "said"),
    [
        (contact(body=b'{"error":{}}'), OK, f"{BASE} answers."),
        (contact(body=b'{"id":"1"}'), OK, f"{BASE} answers."),
        (contact(body=b"<html>"), FAILED, f"What answers at {BASE} is not the Graph API (HTTP 400"),
        (contact(body=b"[1]"), FAILED, "is not the Graph API"),
        (contact(body=b"[" * 4096), FAILED, "is not the Graph API"),
        (ServerContact(ContactTrouble.NAME), FAILED, f"{BASE} has no address."),
        (
            ServerContact(ContactTrouble.TLS, "odd"),
            FAILED,
            f"{BASE} speaks no TLS that we do (odd).",
        ),
    ],
)
def test_the_graph_api_is_reached(found: ServerContact, result: StepResult, said: str) -> None:
    step = reach.judge(BASE, found)
    assert (step.result, said in step.found) == (result, True), step


@pytest.mark.parametrize(
    ("found", "result", "said"),
    [
        (contact(), OK, "It is within 5 s of Meta's."),
        (contact(5), OK, "It is within 5 s"),
        (contact(-6), WARNING, "It is 6 s behind Meta's."),
        (contact(8, took=10), OK, "It is within 5 s"),  # a slow answer may be that much off
        (contact(60), WARNING, "It is 60 s ahead of Meta's."),
        (contact(-62), FAILED, "It is 62 s behind Meta's."),
        (contact(date=""), SKIPPED, "does not say what time it is"),
        (contact(date="yesterday"), SKIPPED, "does not say what time it is"),
    ],
)
def test_the_clock(found: ServerContact, result: StepResult, said: str) -> None:
    step = reach.judge_clock(found)
    assert (step.result, said in step.found) == (result, True), step


# Settings, and what is printed


def test_the_settings() -> None:
    cloud = CloudSettings()
    today = date(2026, 11, 28)
    step = settings.judge(cloud, (), today)
    assert step.result is OK, step
    newer = settings.judge(replace(cloud, version="v26.0"), (), today)
    assert newer.found.endswith("The version is v26.0; Meta has said of no end that is known here.")
    near = settings.judge(replace(cloud, version="v21.0"), (), today)
    assert (near.result, "which Meta ends on 2027-01-21" in near.found) == (WARNING, True)
    gone = settings.judge(cloud, ("A (/x)", "B (/y)"), today)
    assert (gone.result, gone.found) == (FAILED, "Files cannot be read: A (/x); B (/y).")


def test_secrets_and_control_characters_are_not_shown() -> None:
    step = CheckStep("token", FAILED, "Malformed EAAsecret\x1b[31m\n", "not EAAsecret")
    found = shown(step, ("EAAsecret", "ab"))
    assert (found.found, found.todo) == ("Malformed (secret) [31m ", "not (secret)")
    assert shown(ok("clock", "about"), ("ab",)).found == "about"  # too short to be told apart
