"""`warouter cloud probe` against the Cloud door: each question gets the answer that the door is set
to give.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import msgspec
import pytest

from tests.harness.certificates import alone, contexts
from tests.harness.cloud import OTHER, SECRET, TO, door
from tests.harness.probing import TIMES, Probing, probing
from tests.harness.shell import command, printed, refused
from tests.harness.wait import PATIENCE, soon
from warouter.errors import CommandError
from warouter.lab.probe import cut, verdicts
from warouter.lab.probe import run as run_module
from warouter.lab.probe.questions import IDS
from warouter.lab.probe.refusals import ENDING
from warouter.lab.probe.verdicts import rows
from warouter.upstream.cloud.signature import sign

NOBODY = "491511234999"


class Person:
    """Answers every question with the same number."""

    def __init__(self, counted: int) -> None:
        self.counted = counted
        self.asked: list[str] = []

    async def count(self, question: str, seconds: float) -> int | None:
        self.asked.append(question)
        return self.counted


class Waiting:
    """Buckets of recipients that say these waits, one after the other."""

    def __init__(self, waits: list[float]) -> None:
        self.waits = waits

    def take(self, recipient: str, now: float) -> float:
        return self.waits.pop(0)


class Refused:
    """Buckets that are never empty, and note whose message was refused."""

    def __init__(self) -> None:
        self.recipients: list[str] = []

    def take(self, recipient: str, now: float) -> float:
        return 0.0

    def refused(self, recipient: str, now: float) -> None:
        self.recipients.append(recipient)


class Turning:
    """Buckets that are never empty; once ``after`` messages were taken the number is at its spam
    limit.
    """

    def __init__(self, probe: Probing, after: int) -> None:
        self._probe = probe
        self._after = after
        self._turns = 0

    def take(self, recipient: str, now: float) -> float:
        if self._turns == self._after:
            if len(self._probe.door.record.ids()[TO]) < self._after:
                return 0.01
            self._probe.door.use(code=131048)
        self._turns += 1
        return 0.0


@pytest.fixture
async def probe() -> AsyncIterator[Probing]:
    async with probing() as found:
        yield found


# The command


async def test_the_dry_run_says_what_it_would_do_and_opens_no_connection(probe: Probing) -> None:
    said = await printed(None, "cloud", "probe", "--to", f"+{TO}", "--to", OTHER, **probe.variables)
    assert [re.search(rf"^\| {q} \|", said, re.MULTILINE) is not None for q in IDS] == [True] * 8
    assert "121 messages to ...67, ...68" in said
    assert "within the last 24 hours" in said
    assert "webapps of this number are stopped" in said
    assert TO not in said
    assert not probe.door.record.counters.received
    assert not probe.door.simulator.line.callers
    assert not probe.door.simulator.sender.urls


async def test_only_some_questions_cost_less(probe: Probing) -> None:
    asked = ("cloud", "probe", "--to", TO, "--only", "q12,Q11", "--messages", "3")
    said = await printed(None, *asked, **probe.variables)
    assert "9 messages to ...67" in said
    assert "| Q1 |" not in said


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (("--to", "nobody"), "is not a phone number"),
        (("--to", TO, "--only", "Q13"), "Q13 is not measured here"),
        (("--to", TO, "--messages", "0"), "1<=x<=10000"),
        (("--to", TO, "--json", "/nowhere/raw.json"), "/nowhere is no folder"),
        (("--to", TO, "--json", f"{__file__}/raw.json"), "is no folder"),
        ((), "--to"),
    ],
)
async def test_unanswerable_questions_are_named(
    probe: Probing, asked: tuple[str, ...], reason: str
) -> None:
    result = await command(None, "cloud", "probe", *asked, **probe.variables)
    assert result.exit_code == 2
    assert reason in result.stderr


async def test_without_a_terminal_it_sends_only_if_told_to_ask_nothing(probe: Probing) -> None:
    said = await refused(None, "cloud", "probe", "--to", TO, "--run", **probe.variables)
    assert "--yes" in said
    assert not probe.door.record.counters.received


async def test_a_run_prints_a_table_that_names_nobody(probe: Probing, tmp_path: Path) -> None:
    file = tmp_path / "raw.json"
    asked = ("--to", TO, "--only", "Q1,Q11", "--messages", "4", "--json", str(file))
    result = await command(None, "cloud", "probe", *asked, "--run", "--yes", **probe.variables)
    assert result.exit_code == 0, (result.output, result.exception)
    head, blank, *table = result.stdout.splitlines()
    assert re.fullmatch(r"warouter \S+, Graph API v25\.0, \d{4}-\d\d-\d\d, level \d+/s", head), head
    assert not blank
    assert [line.split("|")[1].strip() for line in table] == ["question", "---", "Q1", "Q11"]
    found = file.read_text()
    facts = probe.door.simulator.facts
    for secret in (TO, "wamid", facts.token, facts.app_secret, facts.phone_number_id, "probe."):
        assert secret not in result.stdout
        assert secret not in found
    messages = msgspec.json.decode(found)["messages"]
    assert len(messages) == 1 + 6 + 2
    assert [message["question"] for message in messages[1:]] == ["Q11"] * 2 + ["Q1"] * 6
    assert messages[-1]["statuses"][0]["status"] == "sent"


async def test_a_file_that_cannot_be_written_costs_no_table(probe: Probing) -> None:
    asked = ("--to", TO, "--only", "Q11", "--json", "/dev/full")
    result = await command(None, "cloud", "probe", *asked, "--run", "--yes", **probe.variables)
    assert isinstance(result.exception, CommandError)
    assert str(result.exception).startswith("/dev/full cannot be written (No space left")
    assert "at the top: HTTP 400 code 100" in result.stdout


async def test_ctrl_c_leaves_what_was_measured(probe: Probing) -> None:
    arguments = ("cloud", "probe", "--to", TO, "--only", "Q11,Q6", "--run", "--yes")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from warouter.cli import main; main()", *arguments),
        env=os.environ | probe.variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        # One to begin with, one that is not refused, five for Q6: it would go on for ten minutes.
        await soon(lambda: probe.door.record.counters.received == 7)
        process.send_signal(signal.SIGINT)
        out, _ = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == 130
    assert "ended early: interrupted" in out.decode()
    assert "at the top: HTTP 400 code 100" in out.decode()


async def test_webhooks_for_the_webapps_are_left_to_them(probe: Probing) -> None:
    probe.door.use(retry_ms=100, retry_most_s=0.5, batch=1)
    running = asyncio.create_task(probe.run("Q6"))
    await soon(lambda: probe.lab and len(probe.lab.observed.trials) == 5)
    written = {"from": "491511239999", "type": "text", "text": {"body": "hello"}}
    status, _ = await probe.door.ask("POST", "/inbound", written)
    assert status == 201
    await probe.door.send(OTHER)  # by a webapp, before it was stopped
    await running
    assert len(probe.door.simulator.world.outbox) > 0
    probe.door.simulator.subscribe([probe.door.business.url])
    assert [one["text"]["body"] for one in await probe.door.inbound()] == ["hello"]
    business = probe.door.business

    def theirs() -> set[str]:
        return {o["status"] for o in business.elements() if o["recipient_id"] == OTHER}

    await business.watch.until(lambda: theirs() == {"sent", "delivered", "read"})


@pytest.mark.parametrize(
    "body",
    [
        b'{"entry": [',
        b'{"entry": [{"changes": [{"field": "messages", "value": {"metadata": {"phone_number_id":'
        b' "NUMBER"}, "statuses": [{"id": "wamid.x", "status": "sent", "timestamp": "NOW",'
        b' "recipient_id": "1", "biz_opaque_callback_data": "\xff"}]}}]}]}',
    ],
    ids=["broken", "no UTF-8"],
)
async def test_unreadable_webhooks_are_left_to_the_webapps(
    probe: Probing, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    body = body.replace(b"NUMBER", probe.cloud[1].phone_number_id.encode())
    body = body.replace(b"NOW", str(int(time.time())).encode())
    running = asyncio.create_task(probe.run("Q6"))
    await soon(lambda: probe.lab and len(probe.lab.observed.trials) == 5)
    signed = {"X-Hub-Signature-256": sign(body, SECRET)}
    url = f"http://127.0.0.1:{probe.port}/cloud/webhook"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers=signed) as answer,
    ):
        assert answer.status == 503
    observed = await running
    assert not observed.ended
    assert "webhook quarantined" not in caplog.messages


async def test_recipients_are_written_to_as_often_as_meta_allows(probe: Probing) -> None:
    probe.pairs = Waiting([0.0, 0.05, 0.01, 0.0, 0.0])
    await probe.run("Q11")
    assert probe.pairs.waits == []


async def test_all_of_it_goes_over_tls(tmp_path: Path) -> None:
    server, client = contexts("localhost", "127.0.0.1")
    own = alone()
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    for file, text in zip(files, own, strict=True):
        file.write_text(text)
    async with door(tls=server) as found:
        probe = Probing(found)
        probe.trusts, probe.certificate = client, (str(files[0]), str(files[1]))
        probe.subscribe()
        observed = await probe.run("Q3", "Q12", "Q7", times=TIMES._replace(late=60, history=60))
    cuts, history, twice = (row.result for row in rows(observed, ["Q3", "Q7", "Q12"]))
    assert cuts.count("2 of 2") == 4
    assert "the cut one: after" in history
    assert "two ids in 5 of 5" in twice


async def test_somebody_at_the_terminal_is_asked(probe: Probing) -> None:
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from warouter.cli import main; main()"),
        *("cloud", "probe", "--to", TO, "--only", "Q12", "--run"),
        env=os.environ | probe.variables,
        stdin=theirs,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        await asyncio.wait_for(process.stderr.readuntil(b"Send all this now? [y/N]"), PATIENCE)
        assert not probe.door.record.counters.received
        os.write(ours, b"y\n")
        await asyncio.wait_for(process.stderr.readuntil(b"on all phones together?"), PATIENCE)
        os.write(ours, b"10\n")
        out, _ = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        os.close(ours)
        os.close(theirs)
    assert process.returncode == 0
    assert "a person counted 10 messages of 10" in out.decode()


# What ends a run before it has begun


async def test_an_address_that_is_taken_is_that_of_a_webapp(probe: Probing) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", probe.port)
    async with server:
        with pytest.raises(CommandError, match=r"cannot be taken .*: stop the webapps"):
            await probe.run("Q11")
    assert not probe.door.record.counters.received


async def test_webhooks_that_go_elsewhere_end_it(probe: Probing) -> None:
    probe.door.simulator.subscribe([probe.door.business.url])
    with pytest.raises(CommandError, match=r"No webhook came .* to \.\.\.67"):
        await probe.run("Q11", times=TIMES._replace(first=0.5))
    assert probe.door.record.counters.received == 1


async def test_webhooks_with_another_signature_are_told_of(probe: Probing) -> None:
    found = probe.door.simulator
    found.sender._app_secret = lambda: "another"
    with pytest.raises(CommandError, match=r"What came was refused: \d+ wrong_signature"):
        await probe.run("Q11", times=TIMES._replace(first=5.0))


async def test_a_number_that_has_not_written_lately_ends_it(probe: Probing) -> None:
    probe.door.use(window=True)
    with pytest.raises(CommandError, match=r"\.\.\.67 has not written to the business within 24"):
        await probe.run("Q11")


async def test_a_token_that_is_refused_ends_it(probe: Probing) -> None:
    probe.door.use(no_token=True)
    with pytest.raises(CommandError, match="cannot be asked for"):
        await probe.run("Q11")


async def test_a_token_that_is_refused_later_leaves_what_was_measured(probe: Probing) -> None:
    probe.switches["Q1 begins"] = {"no_token": True}
    observed = await probe.run("Q11", "Q1")
    assert "Meta refuses the token" in observed.ended
    assert "code 100" in rows(observed, ["Q11"])[0].result


@pytest.mark.parametrize("code", sorted(ENDING))
async def test_harm_to_the_number_ends_the_probe_at_once(probe: Probing, code: int) -> None:
    probe.switches["Q1 begins"] = {"code": code}
    observed = await probe.run("Q11", "Q1", "Q3")
    assert re.match(rf"Meta refuses what the number sends \({code}, \w.*\): ", observed.ended)
    assert len(observed.of("Q1")) == 1
    assert not observed.of("Q3")
    sent, asked = (row.result for row in rows(observed, ["Q1", "Q11"]))
    assert "in `text`: HTTP 200, taken" in asked
    assert sent == f"1 refused with {code}"


async def test_a_harmful_status_ends_the_probe_too(probe: Probing) -> None:
    probe.door.use(sent_ms=0)
    probe.switches["Q12 begins"] = {"failed": 1.0, "failed_code": 131048}
    observed = await probe.run("Q12", "Q1")
    assert observed.ended.startswith("Meta refuses what the number sends (131048, in a status): ")
    assert not [message for message in observed.of("Q1") if message.written is not None]


async def test_the_probe_does_not_begin_on_a_number_in_trouble(probe: Probing) -> None:
    probe.door.use(code=131048)
    with pytest.raises(CommandError, match=r"131048, .*: too many messages of this number"):
        await probe.run("Q11")
    assert probe.door.record.counters.received == 1


@pytest.mark.parametrize(
    ("switches", "reason"),
    [
        ({"code": 131056}, "131056, .*more phones as --to"),
        ({"code": 130429}, "130429, .*fewer --messages"),
        ({"code": 80007}, "80007, .*fewer --messages"),
        ({"code": 4}, "4, .*fewer --messages"),
        ({"bare_throttle": 1.0}, "HTTP 429.*fewer --messages"),
    ],
)
async def test_three_refusals_in_a_row_end_it(
    probe: Probing, switches: dict[str, float], reason: str
) -> None:
    probe.pairs = Refused()
    probe.switches["Q1 begins"] = switches
    observed = await probe.run("Q11", "Q1")
    assert re.match(rf"Meta refused 3 in a row \(.*{reason}", observed.ended), observed.ended
    assert len(observed.of("Q1")) == 3
    assert "in `text`: HTTP 200, taken" in rows(observed, ["Q11"])[0].result
    assert probe.pairs.recipients == ([TO] * 3 if switches.get("code") == 131056 else [])


async def test_the_probe_waits_for_requests_it_cut_off(
    probe: Probing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cut, "CUT_MS", (0, 0, 0, 0, 1_000, 1_000, 1_000, 1_000))
    monkeypatch.setattr(verdicts, "CUT_MS", (0, 1_000))
    probe.door.use(sent_ms=2_000, delivered_ms=2_000, read_ms=2_000)
    probe.pairs = Turning(probe, 5)
    observed = await probe.run("Q3", times=TIMES._replace(late=60))
    (row,) = rows(observed, ["Q3"])
    assert "131048" in observed.ended
    assert row.result.startswith("0 ms: 4 of 4")
    assert row.result.endswith("1 refused with 131048")


async def test_the_probe_ends_when_its_time_is_up(
    probe: Probing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "bound", lambda asked, times: 2.0)
    observed = await probe.run("Q6", times=TIMES._replace(patience=3600.0))
    assert observed.ended == "its time was up"


# The questions


async def test_q1_is_the_time_from_the_200_to_the_status(probe: Probing) -> None:
    probe.door.use(sent_ms=120, delivered_ms=200, read_ms=300)
    observed = await probe.run("Q1", messages=8)
    (row,) = rows(observed, ["Q1"])
    assert row.n == 8 + 2 + 2
    assert re.match(r"text \(n=8\): p50 \S+ s, most \S+ s.*; location \(n=2\): p50", row.result)
    texts = [message for message in observed.of("Q1") if message.kind == "text"]
    assert min(m.first("sent").at - m.written for m in texts) >= 0.12


async def test_q1_counts_what_has_no_sent(probe: Probing) -> None:
    probe.door.use(sent=0.0)
    said = await probe.result("Q1", messages=2, times=TIMES._replace(status=0.3))
    assert said == "text (n=2): no `sent`, 2 without `sent`"


async def test_q1_counts_what_is_refused(probe: Probing) -> None:
    probe.switches["Q1 begins"] = {"throttle": 1.0}
    assert await probe.result("Q1", messages=2) == "2 refused with 130429"


@pytest.mark.parametrize(("opaque", "word"), [("always", "with"), ("not_failed", "without")])
async def test_q2_is_whether_a_failed_one_echoes(probe: Probing, opaque: str, word: str) -> None:
    probe.door.use(opaque=opaque, unknown=[NOBODY])
    said = await probe.result("Q2", unreachable=NOBODY)
    assert said == f"`failed`: {word} it, code 131026"


async def test_q2_has_a_voice_note_played(probe: Probing) -> None:
    said = await probe.result("Q2", note=b"OggS", person=Person(0))
    assert said == "`played`: with it"
    assert any("play the voice note on the phone of ...67" in words for words in probe.said)


async def test_a_voice_note_that_is_not_taken_ends_nothing(probe: Probing) -> None:
    probe.door.use(media_status=500)
    said = await probe.result("Q2", note=b"OggS", person=Person(0))
    assert said == "`played`: none came; 1 without an answer"
    assert any("cannot be uploaded" in words for words in probe.said)


async def test_q3_of_a_door_that_takes_what_has_come_whole(probe: Probing) -> None:
    probe.door.use(latency_ms=300)
    said = await probe.result("Q3", messages=8, times=TIMES._replace(late=60))
    parts = said.split("; ")
    assert [part.split(":")[0] for part in parts] == ["0 ms", "50 ms", "200 ms", "500 ms"]
    assert all("2 of 2" in part for part in parts)


async def test_q3_of_a_door_that_drops_whose_caller_has_gone(
    probe: Probing, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (cut, verdicts):
        monkeypatch.setattr(module, "CUT_MS", (0, 2_000))
    probe.switches["Q3 begins"] = {"abandon": 1.0, "abandon_ms": 1_000}
    early, late = (await probe.result("Q3", messages=4)).split("; ")
    assert early.startswith("0 ms: 0 of 2")
    assert late.startswith("2000 ms: 2 of 2")


async def test_q15_is_how_late_a_cut_request_is_taken(probe: Probing) -> None:
    probe.switches["Q15 begins"] = {"late": 1.0, "late_least_ms": 800, "late_ms": 900}
    observed = await probe.run("Q15", messages=4, times=TIMES._replace(late=60))
    (row,) = rows(observed, ["Q15"])
    assert row.n == 4
    assert row.result.startswith("first status after the last byte: p50")
    first = [message.first().at - message.written for message in observed.of("Q3")]
    assert min(first) >= 0.8
    assert "0 later than 20 s" in row.result
    assert "by Meta's timestamps" in row.result


async def test_q6_sees_the_time_out_and_the_repeats(probe: Probing) -> None:
    probe.door.use(timeout_ms=1_500, retry_ms=200, batch=1)
    running = asyncio.create_task(probe.run("Q6", times=TIMES._replace(patience=3600.0)))
    await soon(lambda: probe.lab and len(probe.lab.observed.trials) == 5)
    trials = {trial.manner: trial for trial in probe.lab.observed.trials}
    assert set(trials) == {"stall", "201", "204", "302", "500"}
    await soon(lambda: all(len(trial.posts) >= 3 for trial in trials.values()))
    running.cancel()
    observed = await running
    assert len(trials["stall"].closed) >= 2
    assert min(trials["stall"].closed) >= 0.2  # of 1.5 s: the rest is for a slow machine
    assert min(trial.posts[1] - trial.posts[0] for trial in observed.trials) >= 0.1
    said = rows(observed, ["Q6"])[0].result
    assert said.startswith("stall (closed after p50 ")
    assert "; 204: " in said


async def test_q7_is_what_the_history_lists_and_when(probe: Probing) -> None:
    probe.door.use(history_ms=300)
    said = await probe.result("Q7", times=TIMES._replace(history=60))
    assert "unfiltered: listed" in said
    after = dict(re.findall(r"(answered|cut) \w+: after (\S+) s", said))
    assert set(after) == {"answered", "cut"}
    assert min(map(float, after.values())) >= 0.29
    assert "by message_id: 1 entries" in said
    assert "limit 101: the Graph API answered HTTP 400" in said


async def test_q7_of_a_history_that_needs_a_wamid(probe: Probing) -> None:
    probe.door.use(history="filtered")
    said = await probe.result("Q7")
    assert said.startswith("unfiltered: the Graph API answered HTTP 400")
    assert "by message_id: 1 entries" in said


@pytest.mark.parametrize(
    ("switch", "word"), [("refuse", "HTTP 400 code 100, refused"), ("ignore", "HTTP 200, taken")]
)
async def test_q11_is_what_becomes_of_unknown_keys(probe: Probing, switch: str, word: str) -> None:
    probe.door.use(unknown_keys=switch)
    top, inner = (await probe.result("Q11")).split("; ")
    assert top.startswith(f"at the top: {word}")
    assert inner == "in `text`: HTTP 200, taken"


async def test_q12_is_that_two_equal_requests_are_two_messages(probe: Probing) -> None:
    person = Person(8)
    said = await probe.result("Q12", messages=4, person=person)
    assert said == (
        "two ids in 4 of 4 (51-100 %) pairs; statuses of both in 4;"
        " a person counted 8 messages of 8"
    )
    assert len(person.asked) == 1


async def test_several_numbers_are_written_to_in_turn(probe: Probing) -> None:
    await probe.run("Q11", to=(TO, OTHER))
    ids = probe.door.record.ids()
    assert {number: len(found) for number, found in ids.items()} == {TO: 1, OTHER: 2}
