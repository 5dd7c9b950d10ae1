"""The steps of the token and of its permissions. Pure."""

from __future__ import annotations

from warouter.upstream.cloud.check.step import CheckStep, StepResult, ended, failed, ok, warning
from warouter.upstream.cloud.graph.described import TokenFacts
from warouter.upstream.cloud.graph.failed import CallFailed

NAME, PERMISSIONS = "token", "permissions"
NEEDED = ("whatsapp_business_messaging", "whatsapp_business_management")
WARN_DAYS = 14
_DAY = 86_400
_INVALID = frozenset({0, 102, 190})
_RENEW = (
    "Make a new one for a system user (business.facebook.com: Settings, Users, System users,"
    " Generate token) and put it into WAROUTER_CLOUD_TOKEN or its file."
)
_KINDS = {"SYSTEM_USER": "a system user", "USER": "a person", "PAGE": "a page", "APP": "an app"}


def judge(token: TokenFacts, now: float) -> CheckStep:
    """Judge if the token is valid, and for how long; ``now`` in unix seconds, by Meta's clock."""
    if not token.valid:
        return failed(NAME, "Meta says that it is not valid: it ended or was revoked.", _RENEW)
    ends = [at for at in (token.expires_at, token.data_access_ends_at) if at]
    left = (min(ends) - now) / _DAY if ends else None
    if left is not None and left <= 0:
        return failed(NAME, "It has ended.", _RENEW)
    app = f"{token.app_id} ({token.app_name})" if token.app_name else token.app_id
    whose = f"It is of {_KINDS.get(token.kind, token.kind or 'nobody named')}, for app {app}"
    found = f"{whose}, and {_end(token, left)}."
    if left is not None and left < WARN_DAYS:
        return warning(NAME, found, _RENEW)
    if token.kind == "USER":
        return warning(NAME, found, "Use one of a system user: it outlives what a person does.")
    return ok(NAME, found)


def judge_refusal(error: CallFailed) -> CheckStep:
    """The question was refused: for the token itself, or by somebody who may not ask it."""
    if error.judged is not None and error.judged.meta_code in _INVALID:
        return failed(NAME, f"Meta does not take it: {ended(error.words)}", _RENEW)
    if error.passing:
        return failed(NAME, f"Meta cannot be asked about it: {ended(error.words)}", "Try again.")
    return warning(
        NAME,
        f"Meta does not say what it may do, nor when it ends: {ended(error.words)}",
        "That it may read the number and the account is seen below; whether it may send is not.",
    )


def judge_permissions(token: TokenFacts | None, account: str) -> CheckStep:
    """Both permissions, for our account; None if Meta does not say."""
    if token is None:
        return CheckStep(
            PERMISSIONS, StepResult.SKIPPED, "Meta does not say what the token may do."
        )
    if missing := [scope for scope in NEEDED if scope not in token.scopes]:
        return failed(
            PERMISSIONS,
            f"The token lacks {' and '.join(missing)}.",
            "Generate it anew with both permissions of WhatsApp ticked.",
        )
    without = [s for s in NEEDED if s in token.granted and account not in token.granted[s]]
    if without:
        return failed(
            PERMISSIONS,
            f"{' and '.join(without)} are for other accounts than {account}.",
            "Check WAROUTER_CLOUD_WABA_ID, and give the system user that account as an asset.",
        )
    return ok(PERMISSIONS, f"The token has {' and '.join(NEEDED)}.")


def _end(token: TokenFacts, left: float | None) -> str:
    if left is not None:
        return f"ends {_in_days(left)}"
    return "never ends" if token.expires_at is not None else "Meta does not say when it ends"


def _in_days(left: float) -> str:
    days = int(left)
    if not days:
        return "within a day"
    return "in 1 day" if days == 1 else f"in {days:,} days"
