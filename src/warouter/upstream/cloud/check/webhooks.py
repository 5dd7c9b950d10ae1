"""The step of the webhooks: that Meta sends them, and to which URL. Pure."""

from __future__ import annotations

from collections.abc import Set
from urllib.parse import SplitResult, urlsplit

from warouter.cloud_settings import WEBHOOK_PATH, is_loopback
from warouter.upstream.cloud.check.step import CheckStep, ended, failed, ok, warning
from warouter.upstream.cloud.graph.described import LONGEST_URL, WebhookUrls
from warouter.upstream.cloud.graph.failed import CallFailed

NAME = "webhooks"
FIELD = "messages"
# What tells of trouble with the account, the number and templates.
NOTICES = (
    "account_update",
    "account_alerts",
    "phone_number_quality_update",
    "message_template_status_update",
)
_SET = f"Set one: warouter cloud check --subscribe https://YOUR-HOST{WEBHOOK_PATH}"


def judge(
    apps: Set[str], app: str, fields: Set[str] | None, callbacks: WebhookUrls, base_url: str
) -> CheckStep:
    """``app`` is the token's, "" if nobody says; ``fields`` are those that it is subscribed to, and
    None likewise; ``base_url`` is the Graph API's.
    """
    if not apps or (app and app not in apps):
        which = f"app {app}" if app else "any app"
        return failed(NAME, f"Meta sends none: {which} is not subscribed to the account.", _SET)
    url = callbacks.used
    if not url:
        return failed(NAME, "Meta sends none: no callback URL is set, not even the app's.", _SET)
    if wrong := fault(url, base_url):
        return failed(NAME, f"Meta sends them to {url}, but {wrong}.", _SET)
    found = f"Meta sends them to {url}, {_whose(callbacks)}."
    if fields is not None and FIELD not in fields:
        return failed(
            NAME,
            f"{found} But app {app} is shown without the field {FIELD}.",
            f"Subscribe it to {FIELD} in the app's dashboard (WhatsApp, Configuration).",
        )
    if fields is not None and (missing := [name for name in NOTICES if name not in fields]):
        return warning(
            NAME,
            f"{found} But app {app} is shown without {', '.join(missing)}, which tell of trouble.",
            "Subscribe it to them in the app's dashboard (WhatsApp, Configuration).",
        )
    if url != callbacks.application:
        app_url = f"at {callbacks.application}" if callbacks.application else "not set"
        return warning(
            NAME,
            f"{found} Notices about the account, its quality and its templates go to the app's"
            f" URL alone, which is {app_url}.",
            "Give the app this URL too, in its dashboard (WhatsApp, Configuration).",
        )
    if not is_ours(url):
        return warning(
            NAME, found, f"warouter hears at {WEBHOOK_PATH}: your proxy has to lead there."
        )
    return ok(NAME, found)


def judge_refusal(error: CallFailed) -> CheckStep:
    """The step where Meta does not say where webhooks go."""
    return failed(
        NAME,
        f"Meta does not say where they go: {ended(error.words)}",
        "Try again; with a token that has whatsapp_business_management for this account.",
    )


def is_ours(url: str) -> bool:
    """True if the URL looks like a listener of warouter's."""
    return urlsplit(url).path == WEBHOOK_PATH


def fault(url: str, base_url: str) -> str:
    """The reason why Meta could not call this URL, "" if it can.

    Plain http is for the simulator alone, on loopback.
    """
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0 and url.isascii() and url.isprintable()
    except ValueError:
        usable = False
    if not usable or " " in url or "\\" in url or "@" in parts.netloc or parts.fragment:
        return "it is no URL that can be called"
    if len(url) > LONGEST_URL:
        return f"it has more than {LONGEST_URL} characters"
    if parts.scheme != "https" and not _is_here(parts, base_url):
        return "it must begin with https://"
    return ""


def _is_here(parts: SplitResult, base_url: str) -> bool:
    graph = urlsplit(base_url).hostname or ""
    return parts.scheme == "http" and is_loopback(parts.hostname or "") and is_loopback(graph)


def _whose(callbacks: WebhookUrls) -> str:
    if callbacks.number:
        return "which is set for this number"
    return "the account's URL" if callbacks.account else "the app's URL"
