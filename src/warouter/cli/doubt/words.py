"""``warouter doubt resend``, ``fail`` and ``hold``: an operator's word on one message or on many.

For ids it is said to all of them or to none. For many messages it is previewed first, and then said
page by page: each page is a commit of its own, with its row of the audit log.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click

from warouter.cli.database import ask, audited, cluster_option, settings_of
from warouter.cli.doubt.filters import chosen, fields_of, filtered, parsed
from warouter.config import Settings
from warouter.errors import CommandError
from warouter.log import shown
from warouter.message_id import text_of
from warouter.store.database import Connection
from warouter.store.operator_word import say, say_next
from warouter.store.views.doubt_choice import DoubtChoice, options_of
from warouter.store.views.doubt_preview import (
    DEEDS,
    DoubtPreview,
    messages_of,
    read_preview,
    sentences_of,
)
from warouter.store.views.doubts import HEARS, STATES, Word, find_one, read_spans, spoken

APPLICATION = "warouter doubt"
MOST_SUBJECT = 300  # characters


class SaidToMany(NamedTuple):
    """A word that was said: to ``chosen`` messages, of which so many ``heard`` it."""

    chosen: int
    heard: int


def _worded(word: Word) -> Callable[[Callable[..., None]], click.Command]:
    """A command that says the word to ids, or to those that the options choose."""
    names = spoken(HEARS[word])
    options = (
        click.argument("ids", metavar="[ID]...", nargs=-1),
        click.option("--all", "every", is_flag=True, help=f"All messages that are {names}."),
        filtered(HEARS[word]),
        click.option("--yes", is_flag=True, help="Show no preview, and do not ask."),
        cluster_option,
    )

    def make(command: Callable[..., None]) -> click.Command:
        for option in reversed(options):
            command = option(command)
        return click.command(word)(command)

    return make


@_worded("resend")
def resend(**given: Any) -> None:
    """Send held messages once more, by ids, options or --all.

    They go under their next attempt. A message that Meta had taken after all reaches its recipient
    twice, and is charged twice. Without ids the command says first how many there are and what that
    may cost, and asks. The owners of the slots act within seconds.
    """
    _say("resend", **given)


@_worded("fail")
def fail(**given: Any) -> None:
    """End held messages as `failed`, by ids, options or --all.

    They have code 500 and "outcome unknown, not sent again". A message that Meta had taken after
    all was delivered nevertheless. Without ids the command says first how many there are and what
    that may cost, and asks. The owners of the slots act within seconds.
    """
    _say("fail", **given)


@_worded("hold")
def hold(**given: Any) -> None:
    """Hold messages in doubt, by ids, options or --all.

    Whatever their policy, they wait for `resend` or `fail`, at most for WAROUTER_PENDING, and then
    fail; what is behind them goes on. What Meta says of one decides all the same: a status, or an
    answer that comes late. Until half a minute after its doubt began a request may still be on its
    way: its message is held then, unless its ttl has ended. Without ids the command says first how
    many there are, and asks.
    """
    _say("hold", **given)


def _say(
    word: Word,
    data_dir: Path | None,
    ids: tuple[str, ...],
    every: bool,
    yes: bool,
    **given: Any,
) -> None:
    if bool(ids) + every + any(given.values()) != 1:
        raise click.UsageError("Give ids, or options that choose messages, or --all.")
    settings = settings_of(data_dir)
    if ids:
        named = sorted({parsed(text) for text in ids})
        count = ask(data_dir, APPLICATION, partial(_say_to_ids, settings, named, word))
        click.echo(f"{messages_of(count)} {DEEDS[word]}")
        return
    which = chosen(given, HEARS[word])
    expected = 0
    if not yes:
        preview = ask(data_dir, APPLICATION, partial(_preview, settings, which, word))
        if not _goes_on(preview):
            return
        which, expected = preview.choice, preview.messages
    how = options_of(fields_of(given)) or "--all"
    said = ask(data_dir, APPLICATION, partial(_say_to_many, which, word, how))
    click.echo(f"{messages_of(said.heard)} {DEEDS[word]}")
    if gone := max(said.chosen, expected) - said.heard:
        were = "was" if gone == 1 else "were"
        click.echo(f"{messages_of(gone)} {were} no longer {spoken(HEARS[word])}")


def _goes_on(preview: DoubtPreview) -> bool:
    """True once somebody has agreed to the preview; CommandError where nobody can be asked."""
    sentences = sentences_of(preview)
    if not sentences:
        click.echo(f"None of these is {spoken(HEARS[preview.word])}.")
        return False
    click.echo("\n".join(sentences))
    if not sys.stdin.isatty():
        raise CommandError("Nothing is done yet: run this again with --yes.")
    click.confirm("Do it?", abort=True, err=True)
    return True


async def _preview(
    settings: Settings, which: DoubtChoice, word: Word, connection: Connection
) -> DoubtPreview:
    return await read_preview(connection, which, word, await read_spans(connection, settings))


async def _say_to_many(
    which: DoubtChoice, word: Word, how: str, connection: Connection
) -> SaidToMany:
    """Say the word to all of a choice; ``how`` it was chosen stands in the audit log."""
    said, after = SaidToMany(0, 0), b""
    while True:
        async with connection.transaction():
            page = await say_next(connection, which, word, after)
            if not page.ids:
                return said
            if page.heard:
                await audited(connection, f"doubt {word}", _subject(page.ids, page.heard, how))
        said = SaidToMany(said.chosen + len(page.ids), said.heard + page.heard)
        after = page.ids[-1]


async def _say_to_ids(
    settings: Settings, ids: Sequence[bytes], word: Word, connection: Connection
) -> int:
    """Say the word to all of these messages or to none; how many they are."""
    async with connection.transaction():
        heard = await say(connection, ids, word)
        for message_id in ids:
            if message_id not in heard:
                raise CommandError(await _why_not(settings, connection, message_id, word))
        for message_id in ids:
            await audited(connection, f"doubt {word}", text_of(message_id))
        return len(ids)


async def _why_not(
    settings: Settings, connection: Connection, message_id: bytes, word: Word
) -> str:
    found = await find_one(connection, message_id, await read_spans(connection, settings))
    if found is None:
        return unknown(message_id)
    if found.state in {STATES[state] for state in HEARS["hold"]}:
        when = f", at {found.ends} or later" if found.ends else ""
        return (
            f"{found.id} is {found.state.replace('_', ' ')}, which ends by itself{when}:"
            " only a held message can be resent or failed."
        )
    if found.state == "held":
        return f"{found.id} is held already: only a message in doubt can be held."
    names = spoken(HEARS[word])
    return f"{found.id} is {found.state}, not {names}: its owner is still working on it."


def unknown(message_id: bytes) -> str:
    """Say that a message has no row of those that these commands are about."""
    text = text_of(message_id)
    return f"{text} is neither in doubt nor held: `warouter trace {text}` says where it is."


def _subject(ids: Sequence[bytes], heard: int, how: str) -> str:
    """Some messages as the audit log names them: how they were chosen, and between which ids."""
    span = f"{text_of(ids[0])} to {text_of(ids[-1])}" if len(ids) > 1 else text_of(ids[0])
    return f"{messages_of(heard)}, {span}, by {shown(how)}"[:MOST_SUBJECT]
