"""The rights of each kind of login: what is not here is refused.

Journals, cursors, parked rows, dead letters, slots and terms are written by fenced functions only,
which run in the name of the owner of the schema; no login has a right to write them itself. Text
that people wrote (bodies, payloads) and keys (of links, of users) are for those whose work they
are. A table, a column or a function that comes new is nobody's until it has its place here: a test
tries each of them as each login.

What an older build needs that may run beside this one stays. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

OWNER = "owner"
PROCESSES = ("webapp", "coreapp", "master")
# `console`: what the operator's commands do; `reader`: what they show, but for what people wrote;
# `web_console`: the process `warouter console`, which shows that and acts for who is logged in.
WEB_CONSOLE = "web_console"
KINDS = (*PROCESSES, "console", "reader", WEB_CONSOLE)
PREFIX = "warouter"

_Columns = Mapping[str, str]  # columns by table

# Journals without what people wrote in them.
_JOURNALS: _Columns = {
    "message": "slot seq id recipient kind accepted_at ttl number aside",
    "parked_message": "slot seq id recipient has_ttl attempts due_at reason parked_at look_at"
    " number",
    "event": "slot seq kind key recipient recorded_at number aside",
    "parked_event": "slot seq kind recipient attempts due_at first_at reason parked_at look_at"
    " number",
    "dead_letter": "slot seq kind key recipient recorded_at attempts died_at reason asked_at"
    " number",
    "cloud_inbox": "slot",  # enough to see whether there is anything
}
# Nodes without the keys of their links.
_NODES: _Columns = {
    "node": "incarnation name role host port version hash_name hash_version pid started_at leaving"
    " upstream fingerprint"
}
# Reports without what a webhook has answered.
_REPORTS: _Columns = {"report": "incarnation node role at body"}
# What everybody who looks may see.
_SEEN: _Columns = {
    **_NODES,
    # Numbers without their certificates, keys and pins.
    "account": "number cc phone_number registered_at",
    "registration": "number cc phone_number asked_at",
    # How many users of WhatsApp are known, and not who they are.
    "contact_identity": "user_id alias",
    # What there is of media, and not under which names.
    "media": "kind mime size created_at",
}
# Who is logged in, and not by which id or token.
_LOGINS: _Columns = {
    "token": "username expires_at created_at number",
    "console_session": "username source created_at seen_at expires_at number",
    "api_key": "id name starts scopes networks expires_at created_at created_by used_at ended_at"
    " number",
    "number": "id name host state",
}

# Every process looks at these as it starts.
_COMMON = "schema_migration format database_role"
_SHARED = "term beat shard_map slot shard_request change"
_SHOWN = (
    "owner_log send_cursor event_cursor aside send_issue upstream_id cloud_number cloud_notice"
    " cloud_path cloud_pause cloud_left_out media_total"
)

_AUDIT = "audit audit_pending audit_chain"

SELECT: Mapping[str, str] = {
    "webapp": f"{_COMMON} {_SHARED} {_SHOWN} node number user_account token api_key attempt setting"
    " account registration contact profile_photo sticker_pack sticker media media_total"
    " media_wanted cloud_switch cloud_unreachable contact_identity contact_key",
    "coreapp": f"{_COMMON} slot shard_map node change setting message event parked_message"
    " parked_event dead_letter send_cursor event_cursor aside send_issue upstream_id cloud_inbox"
    " cloud_unreachable cloud_path cloud_number cloud_pause cloud_held"
    " contact_identity contact_key media media_total media_wanted callback_request",
    "master": f"{_COMMON} {_SHARED}",
    "console": f"{_COMMON} {_SHARED} {_SHOWN} {_AUDIT} dead_letter attempt report",
    "reader": f"{_COMMON} {_SHARED} {_SHOWN} {_AUDIT}",
    "web_console": f"{_COMMON} {_SHARED} {_SHOWN} {_AUDIT} attempt report",
}
INSERT: Mapping[str, str] = {
    "webapp": "user_account token api_key attempt setting account registration contact"
    " profile_photo sticker_pack sticker shard_request cloud_switch cloud_notice",
    "coreapp": "cloud_unreachable cloud_held cloud_number media_wanted",
    "console": "user_account api_key",
    "web_console": "user_account api_key attempt",
}
UPDATE: Mapping[str, str] = {
    "webapp": "user_account attempt setting account registration contact profile_photo sticker_pack"
    " sticker cloud_switch cloud_notice",
    "coreapp": "cloud_unreachable cloud_held cloud_number media_wanted",
    "web_console": "attempt",
}
DELETE: Mapping[str, str] = {
    "webapp": "user_account token api_key attempt setting account registration profile_photo"
    " sticker_pack sticker media media_wanted report cloud_path",
    "coreapp": "cloud_pause media media_wanted report",
    "master": "report",
    "console": "user_account token api_key attempt account registration",
    "web_console": "user_account token api_key attempt",
}
# Rights to single columns, where the whole table would be too much.
SELECT_COLUMNS: Mapping[str, _Columns] = {
    "webapp": {**_JOURNALS, **_REPORTS, "audit": "id"},
    "coreapp": {"report": "incarnation", "number": "id name"},
    "master": {**_NODES, "send_issue": "slot", "cloud_inbox": "slot", "report": "incarnation"},
    "console": {
        **{table: columns for table, columns in _JOURNALS.items() if table != "dead_letter"},
        **_SEEN,
        **_LOGINS,
        "user_account": "username role must_change created_at number",
    },
    "reader": {**_JOURNALS, **_SEEN, **_REPORTS},
    "web_console": {
        **_JOURNALS,
        **_SEEN,
        **_LOGINS,
        # A password is checked where it is given.
        "user_account": "username password_hash role must_change created_at number",
    },
}
# A trigger gives each row of the audit log its number, time and hash.
_WRITTEN: _Columns = {"audit": "actor action subject source outcome of"}
INSERT_COLUMNS: Mapping[str, _Columns] = {
    "webapp": _WRITTEN,
    "console": _WRITTEN,
    "web_console": _WRITTEN,
}
UPDATE_COLUMNS: Mapping[str, _Columns] = {
    "webapp": {
        "shard_request": "state details ended_at",
        "contact_key": "acknowledged",
        "cloud_path": "left_at vain_at",
        "cloud_number": "read_at",
        "token": "used_at",
        "api_key": "used_at ended_at",
        # For locks of rows only.
        "change": "version",
        "media": "created_at",
    },
    "coreapp": {"media": "created_at"},
    "console": {
        "user_account": "password_hash role must_change",
        "api_key": "ended_at",
        "dead_letter": "asked_at",
        "change": "version",
    },
    "web_console": {
        "user_account": "password_hash must_change",
        "api_key": "ended_at",
        "dead_letter": "asked_at",
        "change": "version",
    },
}
# By name: all that have it, as builds beside this one may call another of them.
_ALIVE = "beat register_node say_leaving write_report"
# What looks through the eyes of the owner, and shows no secret.
_SAID = "is_aside status_said of_template word_said sessions settings_shown number_shown"
EXECUTE: Mapping[str, str] = {
    "webapp": f"{_ALIVE} audit_add prune_audit ask_for_gc attempt_failed attempt_spread add_media"
    " receive_cloud keep_keys keep_unreadable leave_out touch_cloud_path status_said sessions"
    " is_aside",
    "coreapp": f"{_ALIVE} unwritable append_messages append_issued append_requests"
    " append_events append_endings record_progress open_slots renew_epochs hand_over release_slots"
    " quiet_slots"
    " prune prune_keys prune_letters prune_history prune_cloud mend_parked"
    " take_up_letters issue_requests open_issues drain_inbox ids_of_wamids"
    " tell_owner learn_identities share_number hold_token stop_number add_media write_webhook"
    " note_opened",
    "master": f"{_ALIVE} next_number moved_lately win_term take_over mark_slots name_successors"
    " begin_shard_request end_shard_request forget_nodes end_leader end_incarnations"
    " end_slot_holders",
    "console": f"{_SAID} say_word console_end_all webhook_shown ask_callbacks",
    "reader": _SAID,
    "web_console": f"{_SAID} audit_add prune_audit attempt_failed attempt_spread console_begin"
    " console_visitor console_end console_end_all console_token console_forget reveal_message"
    " say_word webhook_shown ask_callbacks",
}
WHOLE: Mapping[str, Mapping[str, str]] = {
    "select": SELECT,
    "insert": INSERT,
    "update": UPDATE,
    "delete": DELETE,
}
COLUMNS: Mapping[str, Mapping[str, _Columns]] = {
    "select": SELECT_COLUMNS,
    "insert": INSERT_COLUMNS,
    "update": UPDATE_COLUMNS,
}


def kind_of(role: str) -> str:
    """The kind of login of a process: called like its role, but for `warouter console`."""
    return WEB_CONSOLE if role == "console" else role
