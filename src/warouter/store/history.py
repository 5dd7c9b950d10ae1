"""Retention of histories, so that no table grows without bound.

The journals have a retention of their own (``Journal.prune``). Here a few rows go at a time, by
index, whoever asks; two who ask at once take different rows.
"""

from __future__ import annotations

from warouter.store.bounded import Fetch

LEAST_DAYS = 1.0  # of the owner log: what happened today is always there
VALID_DAYS = 365.0  # an answer that a number is on WhatsApp
INVALID_DAYS = 7.0  # that it is not: nobody reads it any more
LEAST_ID_DAYS = 30.0  # a message of the Cloud API can be quoted for so long
UNMATCHED_DAYS = 8.0  # Meta repeats a webhook for seven

# The last row of each slot stays, however old it is: it says who owns the slot, and why.
_OWNER_LOG = """
delete from owner_log where id in (
    select l.id from owner_log l
     where l.at < now() - $1 * interval '1 day'
       and exists (select from owner_log n where n.slot = l.slot and n.id > l.id)
     order by l.at limit $2 for update skip locked) returning 1"""
_REQUESTS = """
delete from shard_request where id in (
    select id from shard_request
     where ended_at < now() - $1 * interval '1 day' and state in ('done', 'refused')
     order by ended_at limit $2 for update skip locked) returning 1"""
# By an index each: who is valid stays for a year, and is not walked through every time till then.
_CONTACTS = """
delete from contact where wa_id in (
    select wa_id from contact
     where {} and checked_at < now() - $1 * interval '1 day'
     order by checked_at limit $2 for update skip locked) returning 1"""
_VALID, _INVALID = _CONTACTS.format("valid"), _CONTACTS.format("not valid")
_LETTERS = """
delete from dead_letter where (slot, kind, seq) in (
    select slot, kind, seq from dead_letter
     where died_at < now() - $1 * interval '1 day' and asked_at is null
     order by died_at limit $2 for update skip locked) returning 1"""


# Ids of the Cloud API: as long as somebody may quote or react to what they stand for.
_IDS = """
delete from upstream_id where wamid in (
    select u.wamid from upstream_id u
     where u.at < now() - $1 * interval '1 day'
       and not exists (select from send_issue i where i.id = u.id)
     order by u.at limit $2 for update skip locked) returning 1"""
_UNMATCHED = """
delete from cloud_unmatched where key in (
    select key from cloud_unmatched where at < now() - $1 * interval '1 day'
     order by at limit $2 for update skip locked) returning 1"""
_UNHEARD = """
delete from cloud_unheard where recipient in (
    select recipient from cloud_unheard where until < now()
     limit $1 for update skip locked) returning 1"""
_UNREACHABLE = """
delete from cloud_unreachable where wa_id in (
    select wa_id from cloud_unreachable where at < now() - $1 * interval '1 day'
     order by at limit $2 for update skip locked) returning 1"""
_PATHS = """
delete from cloud_path where webapp in (
    select webapp from cloud_path where seen_at < now() - $1 * interval '1 day'
     limit $2 for update skip locked) returning 1"""
_SHARES = """
delete from cloud_share where incarnation in (
    select incarnation from cloud_share where seen_at < now() - $1 * interval '1 day'
     limit $2 for update skip locked) returning 1"""


async def prune_cloud(fetch: Fetch, days: float, rows: int) -> int:
    """Delete what is no longer needed of the Cloud API: ids that are older than ``days`` and than
    30, statuses of nobody older than 8, what processes said and who could not be reached a day
    ago, recipients of whom nothing more may be heard. As ``prune_history``.
    """
    gone = [
        await fetch(_IDS, max(days, LEAST_ID_DAYS), rows),
        await fetch(_UNMATCHED, UNMATCHED_DAYS, rows),
        await fetch(_UNHEARD, rows),
        await fetch(_UNREACHABLE, LEAST_DAYS, rows),
        await fetch(_PATHS, LEAST_DAYS, rows),
        await fetch(_SHARES, LEAST_DAYS, rows),
    ]
    return max(map(len, gone))


async def prune_history(fetch: Fetch, days: float, rows: int) -> int:
    """Delete changes of owners and shards older than ``days``, and old contact answers.

    At most ``rows`` of each; how many of that of which most went. Raises what ``fetch`` does.
    """
    kept = max(days, LEAST_DAYS)
    gone = [
        await fetch(_OWNER_LOG, kept, rows),
        await fetch(_REQUESTS, kept, rows),
        await fetch(_VALID, VALID_DAYS, rows),
        await fetch(_INVALID, INVALID_DAYS, rows),
    ]
    return max(map(len, gone))


async def prune_letters(fetch: Fetch, days: float, rows: int) -> int:
    """Delete up to ``rows`` dead letters that died more than ``days`` ago; returns how many."""
    return len(await fetch(_LETTERS, days, rows))
