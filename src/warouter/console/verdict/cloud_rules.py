"""The rules of the alerts that only the Cloud API brings about. Pure."""

from __future__ import annotations

from warouter.console.verdict.judge import (
    CRITICAL,
    WARNING,
    AlertRule,
    ClusterSnapshot,
    about,
    percent,
)

DAY = 86_400


def _stopped(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    if max(seen.values("warouter_cloud_stopped"), default=0) <= rule.bounds[0]:
        return None
    return "The Cloud API refuses the number: every message waits until somebody acts."


def _braked(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    count = sum(seen.values("warouter_cloud_braked"))
    if count <= rule.bounds[0]:
        return None
    return f"Meta takes nothing from {count:,.0f} coreapps: each sends one message at a time."


def _notice(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    fields = seen.grown_by(
        "field", "warouter_cloud_notices_total", rule.windows[0], field="account_.*|security"
    )
    said = sorted(field for field, n in fields.items() if n > rule.bounds[0])
    return f"Meta sent {', '.join(said)}: warouter status has its words." if said else None


def _left_out(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    fields = seen.grown_by("field", "warouter_cloud_left_out_total", rule.windows[0])
    found = sorted(field for field, n in fields.items() if n > rule.bounds[0])
    if not found:
        return None
    return f"Webhooks of customers called nobody back ({', '.join(found)}): see warouter status."


def _held(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    held = sum(seen.values("warouter_cloud_held"))
    if held <= rule.bounds[0]:
        return None
    return f"{held:,.0f} messages are held: send them again, or let them fail."


def _blind(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    count = seen.grown("warouter_cloud_blind_total", rule.windows[0])
    if count <= rule.bounds[0]:
        return None
    return f"{count:,.0f} doubts ended without a proof that webhooks come."


def _twice(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    count = seen.grown("warouter_cloud_duplicates_total", rule.windows[0])
    if count <= rule.bounds[0]:
        return None
    return f"{count:,.0f} requests were taken of messages that had been taken before."


def _no_webhooks(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    longest, none = rule.bounds
    ages = seen.values("warouter_cloud_webhook_age_seconds")
    taken = seen.grown("warouter_cloud_answers_total", rule.windows[0], **{"class": "taken"})
    if not ages or min(ages) <= longest or taken <= none:
        return None
    return f"Messages go out, and no webhook has come for {about(min(ages))}."


def _no_webhooks_no_storage(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    longest, none, short = rule.bounds
    ages = seen.values("warouter_cloud_webhook_age_seconds")
    taken = seen.grown("warouter_cloud_answers_total", rule.windows[0], **{"class": "taken"})
    retries = seen.values("warouter_cloud_webhook_retry_seconds")
    if not ages or min(ages) <= longest or taken <= none or not retries or min(retries) > short:
        return None
    return f"No webhook has come for {about(min(ages))}, and Meta repeats them for an hour only."


def _webhooks_refused(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    [most], [window, _] = rule.bounds, rule.windows
    wrong = seen.grown("warouter_cloud_webhooks_total", window, result="wrong_signature")
    taken = seen.grown("warouter_cloud_webhooks_total", window, result="taken")
    if wrong <= most or wrong <= taken:
        return None
    return f"{wrong:,.0f} webhooks were refused: their signatures are of another app secret."


def _throttled(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    [bound], [window, _] = rule.bounds, rule.windows
    throttled = seen.grown("warouter_cloud_throttled_total", window)
    asked = seen.grown("warouter_cloud_answers_total", window)
    if not asked or throttled / asked <= bound:
        return None
    return f"Meta says of {percent(throttled / asked)} of the requests that they come too fast."


def _entities(seen: ClusterSnapshot, wanted: float) -> str:
    """The entities for which Meta lets the number send just so much: each by its worst word."""
    found = seen.by("entity", "warouter_cloud_can_send")
    return ", ".join(sorted(entity for entity, values in found.items() if min(values) == wanted))


def _limited(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    who = _entities(seen, rule.bounds[0])
    return f"Meta limits what the number may send, because of: {who}." if who else None


def _blocked(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    who = _entities(seen, rule.bounds[0])
    return f"Meta lets the number send nothing, because of: {who}." if who else None


def _token(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    never, soon = rule.bounds
    end = max(seen.values("warouter_cloud_token_end_seconds"), default=never)
    if end <= never or end - seen.now >= soon:
        return None
    return f"The token of the Cloud API ends in {about(end - seen.now)}: then no message leaves."


def _version(seen: ClusterSnapshot, rule: AlertRule) -> str | None:
    ends = seen.values("warouter_cloud_version_end_seconds")
    if not ends or min(ends) - seen.now >= rule.bounds[0]:
        return None
    left = about(min(ends) - seen.now)
    return f"Meta ends the version of the Graph API that is in use in {left}."


CLOUD: tuple[AlertRule, ...] = (
    AlertRule("NumberStopped", CRITICAL, _stopped, (0,), (), 30),
    AlertRule("CloudBraked", CRITICAL, _braked, (0,), (), 120),
    AlertRule("AccountNotice", WARNING, _notice, (0,), (3600,)),
    AlertRule("WebhooksLeftOut", WARNING, _left_out, (0,), (3600,)),
    AlertRule("MessagesHeld", WARNING, _held, (0,)),
    AlertRule("DoubtsBlind", WARNING, _blind, (0,), (3600,)),
    AlertRule("TakenTwice", WARNING, _twice, (0,), (3600,)),
    AlertRule("NoWebhooks", CRITICAL, _no_webhooks, (600, 0), (900,), 300),
    AlertRule("NoWebhooksNoStorage", CRITICAL, _no_webhooks_no_storage, (120, 0, 3600), (300,), 60),
    AlertRule("WebhooksRefused", CRITICAL, _webhooks_refused, (10,), (900, 900)),
    AlertRule("NumberThrottled", WARNING, _throttled, (0.05,), (600, 600), 600),
    AlertRule("NumberLimited", WARNING, _limited, (1,), (), 300),
    AlertRule("NumberBlocked", CRITICAL, _blocked, (0,), (), 120),
    AlertRule("TokenEndsSoon", WARNING, _token, (0, 14 * DAY)),
    AlertRule("TokenEnds", CRITICAL, _token, (0, 2 * DAY)),
    AlertRule("VersionEndsSoon", WARNING, _version, (90 * DAY,)),
)
