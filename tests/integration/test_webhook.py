"""Callbacks against a real receiver on loopback that fails in every way receivers fail."""

import asyncio
import contextlib
import ipaddress
import json
import logging
import random
import socket
import time
from collections import Counter, defaultdict

import pytest
from aiohttp import web

from tests.harness.wait import PATIENCE
from warouter import __version__
from warouter.app_settings import ApplicationSettings, Webhooks
from warouter.kinds import INBOUND, STATUS
from warouter.local.ports import free_port
from warouter.webhook import callbacks as webhook
from warouter.webhook import post as posting
from warouter.webhook.body import Item
from warouter.webhook.breaker import FAILURES, GIVE_UP
from warouter.webhook.callbacks import BATCH_EVENTS, Callbacks, Result

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
STEP_MS = 20


class Watch:
    """Lets a test wait until something that others change has come true."""

    def __init__(self):
        self._changed = asyncio.Event()

    def notify(self, *_args):
        self._changed.set()

    async def until(self, predicate):
        async with asyncio.timeout(PATIENCE):
            while not predicate():
                self._changed.clear()
                await self._changed.wait()


class Receiver:
    """The business's webhook. ``answer(post)`` gives a status or a response, and may wait."""

    def __init__(self, watch, host="127.0.0.1"):
        self.watch = watch
        self.host = host
        self.port = 0
        self.posts = []  # bodies of all, in order of arrival
        self.accepted = []  # bodies of those that were answered 2xx
        self.requests = []
        self.in_flight = self.peak = 0
        self.busy = Counter()  # recipients in POSTs that are not answered
        self.shared = []  # recipients seen in two POSTs at once
        self.answer = lambda post: 200
        self._runner = None

    async def start(self, port=0):
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, port or free_port())
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self):
        await self._runner.cleanup()

    @property
    def url(self):
        return f"http://{self.host}:{self.port}/hook"

    async def _handle(self, request):
        post = await request.json()
        recipients = {recipient_of(event) for event in events_of(post)}
        self.posts.append(post)
        self.requests.append(request)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        self.shared += [recipient for recipient in recipients if self.busy[recipient]]
        self.busy.update(recipients)
        self.watch.notify()
        try:
            answer = self.answer(post) if callable(self.answer) else self.answer
            if asyncio.iscoroutine(answer):
                answer = await answer
            if isinstance(answer, int):
                answer = web.Response(status=answer)
            if 200 <= answer.status < 300:
                self.accepted.append(post)
            return answer
        finally:
            self.in_flight -= 1
            self.busy.subtract(recipients)
            self.watch.notify()

    def ids(self, posts=None):
        posts = self.posts if posts is None else posts
        return [event["id"] for post in posts for event in events_of(post)]


class Owner:
    """What the owner of the slots is told, and the settings it has."""

    def __init__(self, watch, url):
        self.watch = watch
        self.settled, self.parked, self.dead, self.broken = [], [], [], []
        self.held = set()  # slots without a lease
        self.retries_at_once = False
        self.settings = settings_of(url)
        self.callbacks = None

    def on_settled(self, items):
        self.settled += items
        self.watch.notify()

    def on_park(self, items, delay_ms, reason):
        self.parked.append((items, delay_ms, reason))
        if self.retries_at_once:
            for item in items:
                self.callbacks.add(item)
        self.watch.notify()

    def on_dead(self, items, reason):
        self.dead.append((items, reason))
        self.watch.notify()

    def on_broken(self, slots, error):
        self.broken.append((slots, error))
        for slot in slots:
            self.callbacks.forget(slot)
        self.watch.notify()

    def may_act(self, slot):
        return slot not in self.held

    def ids(self):
        return [name_of(item) for item in self.settled]


def settings_of(url, *, step_ms=STEP_MS, most_ms=200, places=6):
    return ApplicationSettings(
        callback_backoff_delay_ms=step_ms,
        max_callback_backoff_delay_ms=most_ms,
        webhooks=Webhooks(url=url, max_concurrent_requests=places),
    )


def events_of(post):
    return post.get("statuses", []) + post.get("messages", [])


def recipient_of(event):
    return event["id"].partition(".")[0]


def name_of(item):
    return json.loads(item.payload)["id"]


def event(number, recipient="49170", *, kind=STATUS, slot=0, **fields):
    """An event whose id names its recipient and number."""
    payload = json.dumps({"id": f"{recipient}.{number}"}).encode()
    contact = json.dumps({"wa_id": recipient}).encode() if kind == INBOUND else None
    return Item(slot, number, kind, recipient, payload, contact, **fields)


def spread(count, *, kind=STATUS, prefix="r", slot=0):
    """One event of each of so many recipients."""
    return [event(n, f"{prefix}{n}", kind=kind, slot=slot) for n in range(count)]


@pytest.fixture
async def watch():
    return Watch()


@pytest.fixture
async def receiver(watch):
    receiver = await Receiver(watch).start()
    yield receiver
    await receiver.stop()


@pytest.fixture
async def owner(watch, receiver):
    return Owner(watch, receiver.url)


@pytest.fixture
def logged(watch, caplog):
    """Lines of the webhook's log; a new one wakes the watch."""
    logger = logging.getLogger("warouter.webhook.callbacks")
    handler = logging.Handler()
    handler.emit = watch.notify
    caplog.set_level(logging.INFO, logger.name)
    logger.addHandler(handler)
    yield lambda: [(record.levelname, record.getMessage()) for record in caplog.records]
    logger.removeHandler(handler)


@contextlib.asynccontextmanager
async def running(owner, **options):
    """Callbacks that run until the end of the block."""
    options = {"allow_http": True, "allow_private": LOOPBACK, "timeout": 10.0} | options

    def settings():
        owner.watch.notify()  # asked for after each POST: the callbacks have moved on
        return owner.settings

    callbacks = owner.callbacks = Callbacks(
        settings=settings,
        may_act=options.pop("may_act", owner.may_act),
        settled=owner.on_settled,
        park=owner.on_park,
        dead=owner.on_dead,
        broken=owner.on_broken,
        **options,
    )
    task = asyncio.create_task(callbacks.run())
    task.add_done_callback(owner.watch.notify)
    try:
        yield callbacks
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def all_settled(owner, count):
    await owner.watch.until(lambda: len(owner.settled) >= count)


def callbacks_now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def idle(callbacks):
    """Nothing is in flight."""
    return callbacks.queue_size == callbacks.waiting_of(0)


FAILING = ("WARNING", "webhook receiver failed")
WORKS = ("INFO", "webhook receiver recovered")


class TestDelivery:
    async def test_the_v1_body_and_headers(self, owner, receiver):
        async with running(owner) as callbacks:
            callbacks.add(event(1, "a"))
            callbacks.add(event(2, "b", kind=INBOUND))
            callbacks.add(event(3, "b", kind=INBOUND))
            await all_settled(owner, 3)
            assert callbacks.queue_size == 0
        assert sorted(receiver.posts, key=len) == [
            {"statuses": [{"id": "a.1"}]},
            {"contacts": [{"wa_id": "b"}], "messages": [{"id": "b.2"}, {"id": "b.3"}]},
        ]
        for request in receiver.requests:
            assert request.method == "POST"
            assert request.path == "/hook"
            assert request.headers["Content-Type"] == "application/json"
            assert request.headers["User-Agent"] == f"warouter/{__version__}"
            assert "Content-Length" in request.headers
        assert callbacks.delivered == {"status_change": 1, "inbound_message": 2}
        assert callbacks.requests == {
            Result("status_change", "success"): 1,
            Result("inbound_message", "success"): 1,
        }

    @pytest.mark.parametrize("status", [200, 201, 204, 299])
    async def test_any_2xx_is_success(self, owner, receiver, status):
        receiver.answer = status
        async with running(owner) as callbacks:
            callbacks.add(event(1))
            await all_settled(owner, 1)
        assert len(receiver.posts) == 1

    async def test_waiting_events_share_posts(self, owner, receiver):
        async with running(owner) as callbacks:
            for each in spread(3 * BATCH_EVENTS):
                callbacks.add(each)
            await all_settled(owner, 3 * BATCH_EVENTS)
        assert [len(events_of(post)) for post in receiver.posts] == [BATCH_EVENTS] * 3

    async def test_places_are_bounded_and_shared(self, owner, receiver, watch):
        release = asyncio.Event()

        async def hold(_post):
            await release.wait()
            return 200

        receiver.answer = hold
        many = 12 * BATCH_EVENTS
        async with running(owner) as callbacks:
            for each in spread(many):
                callbacks.add(each)
            await watch.until(lambda: receiver.in_flight == 5)  # one place is kept
            for each in spread(many, kind=INBOUND, prefix="i"):
                callbacks.add(each)
            await watch.until(lambda: receiver.in_flight == 6)
            assert sum("messages" in post for post in receiver.posts) == 1
            release.set()
            await all_settled(owner, 2 * many)
        assert receiver.peak == 6
        assert sorted(owner.ids()) == sorted(receiver.ids())

    async def test_order_and_completeness_with_an_unreliable_receiver(self, owner, receiver):
        chance = random.Random(7)
        stubborn = {"r5.10": 4, "r50.3": 4}  # refused alone so often

        def answer(post):
            ids = receiver.ids([post])
            refused = [name for name in ids if stubborn.get(name)]
            if len(ids) == 1:
                stubborn.update({name: stubborn[name] - 1 for name in refused})
            return 503 if refused or chance.random() < 0.4 else 200

        receiver.answer = answer
        owner.retries_at_once = True
        lanes = {f"r{n}": [f"r{n}.{i}" for i in range(30)] for n in range(100)}
        async with running(owner) as callbacks:
            for i in range(30):
                for recipient in lanes:
                    callbacks.add(event(i, recipient))
            await all_settled(owner, 3_000)
        accepted = defaultdict(list)
        for name in receiver.ids(receiver.accepted):
            accepted[name.partition(".")[0]].append(name)
        assert accepted == lanes
        assert Counter(owner.ids()) == Counter(name for own in lanes.values() for name in own)
        assert receiver.shared == []
        assert not any(stubborn.values())

    async def test_events_wait_without_a_url_and_go_once_there_is_one(self, owner, receiver):
        url, owner.settings = receiver.url, settings_of("")
        async with running(owner) as callbacks:
            callbacks.add(event(1))
            for _ in range(5):
                await asyncio.sleep(0)
            assert callbacks.queue_size == callbacks.waiting_of(0) == 1
            owner.settings = settings_of(url)
            callbacks.settings_changed()
            await all_settled(owner, 1)
        assert owner.parked == owner.dead == []

    async def test_an_unusable_url_is_warned_of_and_everything_waits(self, owner, logged):
        owner.settings = settings_of("ftp://example.org/")
        async with running(owner) as callbacks:
            callbacks.add(event(1))
            for _ in range(5):
                await asyncio.sleep(0)
            assert callbacks.queue_size == 1
        assert logged() == [("WARNING", "webhook URL rejected")]

    async def test_an_error_of_the_owner_stays_with_its_slots(self, owner, watch):
        """Nobody else's callbacks stop for it, and the slot goes on once it is begun anew."""
        record = owner.on_settled

        def broken(items):
            if items[0].slot == 1 and not owner.broken:
                raise RuntimeError("cannot record")
            record(items)

        owner.on_settled = broken
        async with running(owner) as callbacks:
            callbacks.add(event(1, "r1", slot=1))
            await watch.until(lambda: owner.broken)
            callbacks.add(event(2, "r2", slot=2))
            callbacks.add(event(3, "r1", slot=1))  # read again by the next epoch
            await watch.until(lambda: len(owner.settled) == 2)
        [(slots, error)] = owner.broken
        assert slots == {1}
        assert str(error) == "cannot record"
        assert sorted(owner.ids()) == ["r1.3", "r2.2"]

    async def test_an_error_before_the_post_takes_no_place_away(self, owner, watch, monkeypatch):
        """Six of them, and there were no places left for anybody."""

        def odd(*_arguments):
            raise KeyError("odd")

        async with running(owner) as callbacks:
            with monkeypatch.context() as patch:
                patch.setattr(webhook, "signed", odd)
                for number in range(1, 9):
                    callbacks.add(event(number, f"r{number}", slot=3))
                    await watch.until(lambda n=number: len(owner.broken) == n)
                    assert callbacks.in_flight_of(3) == 0  # or a handover would wait for it
            callbacks.add(event(100, "x", slot=3))
            await all_settled(owner, 1)
            assert callbacks.queue_size == 0

    async def test_a_post_that_raises_what_nobody_foresaw_is_a_failure(
        self, owner, watch, monkeypatch
    ):
        async def odd(*_arguments, **_named):
            raise KeyError("odd")

        monkeypatch.setattr(posting, "_drain", odd)
        async with running(owner) as callbacks:
            callbacks.add(event(1))
            await watch.until(lambda: owner.settled)  # its status had come: that alone decides
        assert not owner.broken


class TestHanging:
    """More recipients whose POSTs hang than there are places: everybody else is served."""

    HANGING = 8

    async def hang(self, post):
        """As a receiver does that waits for something of these customers, and of no others."""
        if any(name.startswith("bad") for name in map(recipient_of, events_of(post))):
            await self.released.wait()
        return 200

    @pytest.fixture(autouse=True)
    def release(self):
        self.released = asyncio.Event()
        yield
        self.released.set()

    def tried_again(self, callbacks):
        """Each was parked, and its time has come."""
        for n in range(self.HANGING):
            callbacks.block(0, f"bad{n}", STATUS)
            callbacks.add(event(n, f"bad{n}", attempts=1, first_at=time.monotonic()))

    async def test_those_that_failed_before_leave_places_to_all_others(
        self, owner, receiver, watch
    ):
        receiver.answer = self.hang
        async with running(owner, timeout=60.0) as callbacks:
            self.tried_again(callbacks)
            await watch.until(lambda: receiver.in_flight == 2)  # of five places for statuses
            for each in spread(50):
                callbacks.add(each)
            await watch.until(lambda: len(owner.settled) == 50)
            assert receiver.in_flight == 2  # nobody waited for a time-out
            assert not receiver.shared
            self.released.set()
            await watch.until(lambda: len(owner.settled) == 50 + self.HANGING)

    async def test_without_the_suspicion_they_take_every_place(
        self, owner, receiver, watch, monkeypatch
    ):
        """The build without the mechanism: the judge above finds nobody served."""
        monkeypatch.setattr(Callbacks, "_may_hang", lambda _self, _kind: True)
        receiver.answer = self.hang
        async with running(owner, timeout=60.0) as callbacks:
            self.tried_again(callbacks)
            await watch.until(lambda: receiver.in_flight == 5)
            callbacks.add(event(1))
            posts = len(receiver.posts)
            await asyncio.sleep(0.3)
            assert (len(receiver.posts), owner.settled) == (posts, [])
            self.released.set()
            await watch.until(lambda: len(owner.settled) == 1 + self.HANGING)

    async def test_those_that_hang_are_found_and_the_others_of_their_posts_delivered(
        self, owner, receiver, watch
    ):
        """One time-out finds each recipient of a POST that hung, and not one for each half."""
        receiver.answer = self.hang
        events = [*spread(40), *spread(3, prefix="bad")]
        random.Random(3).shuffle(events)
        async with running(owner, timeout=1.0) as callbacks:
            for each in events:
                callbacks.add(each)
            await watch.until(lambda: len(owner.settled) == 40 and len(owner.parked) == 3)
        assert not any(name.startswith("bad") for name in owner.ids())
        assert callbacks.requests[Result("status_change", "timeout")] == 1 + 3


class TestFailures:
    async def test_an_outage_delays_everything_and_loses_or_parks_nothing(
        self, owner, receiver, logged
    ):
        failures = 12
        receiver.answer = lambda _post: 500 if len(receiver.posts) <= failures else 200
        async with running(owner) as callbacks:
            for each in spread(60):
                callbacks.add(each)
            await all_settled(owner, 60)
            assert callbacks.failing == []
        assert owner.parked == owner.dead == []
        assert callbacks.requests[Result("status_change", "500")] == failures
        assert sorted(owner.ids()) == sorted(receiver.ids(receiver.accepted))
        # At most four more POSTs were on their way when the circuit opened, then came probes.
        probes = receiver.posts[FAILURES + 4 : failures]
        assert [len(events_of(post)) for post in probes] == [1] * len(probes)
        assert logged() == [FAILING, WORKS]

    async def test_statuses_refused_for_ever_do_not_hold_up_inbound_messages(
        self, owner, receiver, watch, logged
    ):
        receiver.answer = lambda post: 200 if "messages" in post else 400
        async with running(owner) as callbacks:
            for n in range(300):
                callbacks.add(event(n, f"r{n % 50}"))
                callbacks.add(event(n, f"r{n % 50}", kind=INBOUND))
            await all_settled(owner, 300)
            await watch.until(lambda: FAILING in logged())
            assert callbacks.failing == ["status_change"]
            assert {item.kind for item in owner.settled} == {INBOUND}
            refused = callbacks.requests[Result("status_change", "400")]
            assert refused < 20  # 300 events, and no storm of splits
            assert owner.parked == []
            assert callbacks.queue_size == 300

            receiver.answer = 200
            await all_settled(owner, 600)
        assert logged() == [FAILING, WORKS]
        assert sorted(owner.ids()) == sorted(receiver.ids(receiver.accepted))

    async def test_statuses_that_hang_leave_a_place_for_inbound_messages(
        self, owner, receiver, watch
    ):
        never = asyncio.Event()

        async def hang(post):
            if "statuses" in post:
                await never.wait()
            return 200

        receiver.answer = hang
        async with running(owner) as callbacks:
            for each in spread(12 * BATCH_EVENTS):
                callbacks.add(each)
            await watch.until(lambda: receiver.in_flight == 5)
            for each in spread(200, kind=INBOUND, prefix="i"):
                callbacks.add(each)
            await all_settled(owner, 200)
            assert {item.kind for item in owner.settled} == {INBOUND}
            never.set()

    async def test_a_receiver_that_hangs_is_a_failure_after_the_timeout(
        self, owner, receiver, watch
    ):
        hung = asyncio.Event()
        receiver.answer = lambda _post: hung.wait()
        async with running(owner, timeout=0.1) as callbacks:
            callbacks.add(event(1))
            await watch.until(lambda: owner.parked)
            label = Result("status_change", "timeout")
            assert callbacks.requests == {label: 1}
            assert 90 <= callbacks.duration_ms[label] < 4_000
        ((items, delay_ms, reason),) = owner.parked
        assert (items[0].attempts, delay_ms, reason) == (1, STEP_MS, "webhook: timeout")

    async def test_refused_connections_until_the_receiver_is_up_again(
        self, owner, receiver, watch, logged
    ):
        await receiver.stop()
        async with running(owner) as callbacks:
            for each in spread(250):
                callbacks.add(each)
            await watch.until(lambda: FAILING in logged())
            assert {result for _, result in callbacks.requests} == {"connection"}
            assert callbacks.queue_size == 250
            await receiver.start(receiver.port)
            await all_settled(owner, 250)
        assert owner.parked == []
        assert sorted(receiver.ids()) == sorted(owner.ids())

    async def test_a_reset_after_processing_repeats_the_events_and_loses_none(
        self, owner, receiver
    ):
        def reset_once(_post):
            if len(receiver.posts) == 1:
                receiver.requests[0].transport.abort()
            return 200

        receiver.answer = reset_once
        async with running(owner) as callbacks:
            for each in spread(4):
                callbacks.add(each)
            await all_settled(owner, 4)
            assert callbacks.requests[Result("status_change", "connection")] == 1
        assert Counter(receiver.ids()) == Counter({f"r{n}.{n}": 2 for n in range(4)})
        assert Counter(owner.ids()) == Counter(f"r{n}.{n}" for n in range(4))

    async def test_redirects_are_failures_and_not_followed(self, owner, receiver, watch):
        receiver.answer = lambda _post: web.Response(
            status=307, headers={"Location": f"{receiver.url}/elsewhere"}
        )
        async with running(owner) as callbacks:
            callbacks.add(event(1))
            await watch.until(lambda: owner.parked)
            assert callbacks.requests == {Result("status_change", "307"): 1}
        assert [request.path for request in receiver.requests] == ["/hook"]

    async def test_an_endless_answer_is_cut_and_its_status_counts(self, owner, receiver, watch):
        cut = []

        async def endless(_post):
            response = web.StreamResponse()
            await response.prepare(receiver.requests[-1])
            try:
                while True:
                    await response.write(bytes(1 << 16))
            except ConnectionError as error:
                cut.append(error)
                raise

        receiver.answer = endless
        async with running(owner, timeout=600) as callbacks:
            callbacks.add(event(1))
            await all_settled(owner, 1)
            await watch.until(lambda: cut)
            assert callbacks.requests == {Result("status_change", "success"): 1}

    async def test_a_success_whose_answer_never_ends_is_not_repeated(self, owner, receiver):
        never = asyncio.Event()

        async def drip(_post):
            response = web.StreamResponse()
            await response.prepare(receiver.requests[-1])
            await response.write(b".")
            await never.wait()
            return response

        receiver.answer = drip
        async with running(owner, timeout=2.0) as callbacks:
            callbacks.add(event(1))
            await all_settled(owner, 1)
            assert callbacks.requests == {Result("status_change", "success"): 1}
        assert owner.parked == []

    async def test_a_poison_event_is_isolated_and_all_others_are_delivered(
        self, owner, receiver, watch
    ):
        poison = "r17.1"
        receiver.answer = lambda post: 500 if poison in receiver.ids([post]) else 200
        async with running(owner) as callbacks:
            for number in range(3):
                for n in range(40):
                    callbacks.add(event(number, f"r{n}"))
            await all_settled(owner, 118)
            await watch.until(lambda: owner.parked)
            ((items, delay_ms, reason),) = owner.parked
            assert [name_of(item) for item in items] == [poison, "r17.2"]
            assert [item.attempts for item in items] == [1, 0]
            assert all(item.first_at is not None for item in items)
            assert (delay_ms, reason) == (STEP_MS, "webhook: 500")
            assert poison not in owner.ids()

            callbacks.add(event(3, "r17"))  # turned away: its lane is blocked
            assert [item.seq for item in owner.parked[-1][0]] == [3]
            for item in items:  # due again, and accepted this time
                receiver.answer = 200
                callbacks.add(item)
            await all_settled(owner, 120)
            callbacks.unblock(0, "r17", STATUS)
            callbacks.add(owner.parked[-1][0][0])
            await all_settled(owner, 121)
        assert [name for name in owner.ids() if name.startswith("r17.")] == [
            f"r17.{n}" for n in range(4)
        ]

    async def test_the_delay_grows_with_the_attempts_up_to_the_most(self, owner, receiver, watch):
        receiver.answer = 500
        async with running(owner) as callbacks:
            for n, attempts in enumerate((1, 3, 50)):
                callbacks.add(event(n, f"r{n}", attempts=attempts, first_at=callbacks_now()))
            await watch.until(lambda: len(owner.parked) == 3)
        delays = {items[0].attempts: delay_ms for items, delay_ms, _ in owner.parked}
        assert delays == {2: 2 * STEP_MS, 4: 4 * STEP_MS, 51: 200}

    async def test_retries_of_refused_events_do_not_hold_up_others(self, owner, receiver, watch):
        receiver.answer = lambda post: 200 if receiver.ids([post]) == ["good.0"] else 500
        owner.settings = settings_of(receiver.url, step_ms=3_600_000, most_ms=3_600_000)
        async with running(owner) as callbacks:
            for n in range(2 * FAILURES):
                callbacks.add(event(n, f"r{n}", attempts=1, first_at=callbacks_now()))
            await watch.until(lambda: len(owner.parked) == 2 * FAILURES)
            callbacks.add(event(0, "good"))
            await all_settled(owner, 1)

    async def test_events_that_were_not_tried_do_not_wait_behind_refused_ones(
        self, owner, receiver, watch
    ):
        now = [0.0]
        receiver.answer = lambda post: 200 if receiver.ids([post]) == ["good.0"] else 500
        owner.settings = settings_of(receiver.url, step_ms=60_000, most_ms=900_000)
        async with running(owner, clock=lambda: now[0]) as callbacks:
            for each in spread(40):
                callbacks.add(each)
            await watch.until(lambda: callbacks.failing and idle(callbacks))
            posts = len(receiver.posts)
            callbacks.settings_changed()  # a probe at once: the next of those is 120 s away
            await watch.until(lambda: len(receiver.posts) > posts and idle(callbacks))
            now[0] = 60.0
            callbacks.add(event(0, "good"))
            await all_settled(owner, 1)
        assert receiver.ids([receiver.posts[posts + 1]]) == ["good.0"]

    async def test_after_seven_days_of_tries_it_is_a_dead_letter(self, owner, receiver, watch):
        first_at = callbacks_now() - GIVE_UP
        receiver.answer = lambda post: 500 if "a.1" in receiver.ids([post]) else 200
        async with running(owner) as callbacks:
            callbacks.add(event(1, "a", attempts=700, first_at=first_at))
            callbacks.add(event(2, "a", first_at=first_at + GIVE_UP))
            await watch.until(lambda: owner.dead)
            await all_settled(owner, 1)  # what waited behind it goes on
        (([letter], reason),) = owner.dead
        assert (letter.seq, letter.attempts, reason) == (1, 700, "webhook: 500")
        assert owner.ids() == ["a.2"]
        assert owner.parked == []

    async def test_a_receiver_down_for_seven_days_costs_dead_letters_not_silence(
        self, owner, receiver, watch
    ):
        now = [0.0]
        receiver.answer = 500
        async with running(owner, clock=lambda: now[0]) as callbacks:
            for each in spread(40):
                callbacks.add(each)
            await watch.until(lambda: callbacks.failing and idle(callbacks))
            # All counts as tried from the first probe on, and is over at the third.
            for _ in range(3):
                assert owner.dead == []
                posts = len(receiver.posts)
                now[0] += GIVE_UP / 2
                callbacks.settings_changed()
                await watch.until(lambda p=posts: len(receiver.posts) > p and idle(callbacks))
        dead = [item.seq for items, _ in owner.dead for item in items]
        assert sorted(dead) == [*range(40)]
        assert owner.settled == owner.parked == []

    async def test_a_new_url_is_tried_at_once(self, owner, receiver, watch, logged):
        receiver.answer = 500
        owner.settings = settings_of(receiver.url, step_ms=3_600_000, most_ms=3_600_000)
        async with running(owner) as callbacks:
            for each in spread(40):
                callbacks.add(each)
            await watch.until(lambda: FAILING in logged() and idle(callbacks))
            receiver.answer = 200
            owner.settings = settings_of(f"{receiver.url}/new")
            callbacks.settings_changed()
            await all_settled(owner, 40)
        assert receiver.requests[-1].path == "/hook/new"

    async def test_once_the_receiver_is_up_what_it_refused_goes_first(
        self, owner, receiver, watch, logged
    ):
        receiver.answer = 500
        owner.settings = settings_of(receiver.url, step_ms=3_600_000, most_ms=3_600_000)
        async with running(owner) as callbacks:
            for each in spread(40):
                callbacks.add(each)
            await watch.until(lambda: FAILING in logged() and idle(callbacks))
            posts = len(receiver.posts)
            for each in spread(400, prefix="new"):
                callbacks.add(each)
            receiver.answer = 200
            callbacks.settings_changed()
            await all_settled(owner, 440)
        probe, batch = receiver.posts[posts : posts + 2]
        first = receiver.ids([probe]) + receiver.ids([batch])[:39]
        assert {recipient.partition(".")[0] for recipient in first} == {f"r{n}" for n in range(40)}


class TestOwnership:
    async def test_a_slot_without_a_lease_is_not_sent_until_it_holds_again(
        self, owner, receiver, watch
    ):
        owner.held = {1}
        async with running(owner) as callbacks:
            callbacks.add(event(1, "a", slot=1))
            callbacks.add(event(2, "b", slot=2))
            await all_settled(owner, 1)
            assert receiver.ids() == ["b.2"]
            assert callbacks.waiting_of(1) == 1
            owner.held = set()
            await all_settled(owner, 2)
        assert receiver.ids() == ["b.2", "a.1"]

    async def test_a_slot_without_a_lease_is_not_even_connected_for(self, owner, receiver, watch):
        await receiver.stop()
        owner.held = {1}
        async with running(owner) as callbacks:
            callbacks.add(event(1, "a", slot=1))
            callbacks.add(event(2, "b", slot=2))
            await watch.until(lambda: owner.parked)
            assert callbacks.requests == {Result("status_change", "connection"): 1}
            assert callbacks.waiting_of(1) == 1
        assert [item.slot for items, _, _ in owner.parked for item in items] == [2]

    async def test_a_lease_that_ends_before_the_request_is_written_stops_it(
        self, owner, receiver, watch
    ):
        asked = []

        def may_act(slot):
            """It holds when the event is taken, and no longer once there is a connection."""
            asked.append(slot)
            return len(asked) == 1 or owner.may_act(slot)

        owner.held = {0}
        async with running(owner, may_act=may_act) as callbacks:
            callbacks.add(event(1))
            await watch.until(lambda: len(asked) > 1 and idle(callbacks))
            assert receiver.requests == []
            owner.held = set()
            await all_settled(owner, 1)
            assert callbacks.requests == {Result("status_change", "success"): 1}
        assert receiver.ids() == ["49170.1"]
        assert owner.parked == []

    async def test_results_of_a_lost_slot_are_not_reported(self, owner, receiver, watch):
        release = asyncio.Event()

        async def hold(_post):
            await release.wait()
            return 200

        receiver.answer = hold
        async with running(owner) as callbacks:
            callbacks.add(event(1, "a", slot=1))
            callbacks.add(event(3, "c", slot=2))
            await watch.until(lambda: receiver.in_flight == 1)
            callbacks.forget(1)
            callbacks.add(event(2, "b", slot=2))
            callbacks.add(event(1, "a", slot=1))  # owned again: the journal is read anew
            release.set()
            await watch.until(lambda: len(receiver.accepted) == 3 and idle(callbacks))
        assert Counter(owner.ids()) == {"b.2": 1, "a.1": 1, "c.3": 1}
        assert Counter(receiver.ids()) == {"b.2": 1, "a.1": 2, "c.3": 1}

    async def test_parked_lanes_of_a_new_epoch_are_blocked_per_kind(self, owner, receiver):
        async with running(owner) as callbacks:
            callbacks.block(0, "a", STATUS)
            callbacks.add(event(1, "a"))
            callbacks.add(event(2, "a", kind=INBOUND))
            await all_settled(owner, 1)
        assert receiver.ids() == ["a.2"]
        assert [item.seq for items, _, _ in owner.parked for item in items] == [1]

    async def test_cancelling_loses_nothing_of_what_was_on_its_way(self, owner, receiver, watch):
        never = asyncio.Event()
        receiver.answer = lambda _post: never.wait()
        async with running(owner) as callbacks:
            callbacks.add(event(1))
            await watch.until(lambda: receiver.in_flight == 1)
        assert callbacks.queue_size == callbacks.waiting_of(0) == 1


class TestOddAnswers:
    """What receivers and what stands before them say, or do not."""

    @pytest.mark.parametrize(("status", "good"), [(200, True), (500, False)])
    async def test_a_compressed_answer_is_not_unpacked(self, owner, receiver, watch, status, good):
        """Not even one that is no gzip at all: the status alone decides."""
        receiver.answer = lambda _post: web.Response(
            status=status, body=b"no gzip", headers={"Content-Encoding": "gzip"}
        )
        async with running(owner) as callbacks:
            callbacks.add(event(1))
            await watch.until(lambda: owner.settled or owner.parked)
        assert bool(owner.settled) is good
        assert "Content-Encoding" not in receiver.requests[0].headers

    @pytest.mark.parametrize(
        ("said", "result"),
        [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "success"),
            (b"HTTP/1.0 200 OK\r\n\r\nok", "success"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ncut", "success"),
            (b"HTTP/1.1 304 Not Modified\r\n\r\n", "304"),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "success"),
            (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", "connection"),
            (b"HTTP/1.1 abc\r\n\r\n", "connection"),
            (b"SSH-2.0-OpenSSH\r\n", "connection"),
            (b"\x15\x03\x01\x00\x02\x02F", "connection"),
            (b"", "connection"),
        ],
    )
    async def test_raw_answers(self, owner, watch, said, result):
        async with raw_receiver(said) as url:
            owner.settings = settings_of(url)
            async with running(owner) as callbacks:
                callbacks.add(event(1))
                await watch.until(lambda: owner.settled or owner.parked)
                assert callbacks.requests == {Result("status_change", result): 1}

    @pytest.mark.parametrize("scheme", ["http", "https"])
    async def test_who_takes_a_connection_and_says_nothing_is_a_timeout(self, owner, watch, scheme):
        """With https not even a handshake."""
        async with raw_receiver(None, scheme) as url:
            owner.settings = settings_of(url)
            async with running(owner, timeout=0.2) as callbacks:
                callbacks.add(event(1))
                await watch.until(lambda: owner.parked)
                assert callbacks.requests == {Result("status_change", "timeout"): 1}


@contextlib.asynccontextmanager
async def raw_receiver(said, scheme="http"):
    """Answers each connection with these bytes; None: with nothing, and keeps it."""
    kept = []

    async def serve(reader, writer):
        kept.append(writer)
        if said is None:
            return
        await reader.read(1)
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for writer in kept:
            writer.close()


class TestAddresses:
    """Names are looked up by the real resolver; only what the system's lookup says is set."""

    @pytest.fixture
    def names(self, monkeypatch):
        table = {}
        lookup = socket.getaddrinfo

        def look_up(host, port, *args, **kwargs):
            if host not in table:
                return lookup(host, port, *args, **kwargs)
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
                for address in table[host]
            ]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        return table

    async def test_a_name_that_points_to_a_private_address_is_not_connected_to(
        self, owner, receiver, watch, names
    ):
        names["hook.example"] = ["127.0.0.1"]
        owner.settings = settings_of(f"http://hook.example:{receiver.port}/")
        async with running(owner, allow_private=()) as callbacks:
            callbacks.add(event(1))
            await watch.until(lambda: owner.parked)
            assert callbacks.requests == {Result("status_change", "address"): 1}
        assert receiver.requests == []

    async def test_the_same_name_is_connected_to_when_its_network_is_allowed(
        self, owner, receiver, names
    ):
        names["hook.example"] = ["127.0.0.1"]
        owner.settings = settings_of(f"http://hook.example:{receiver.port}/")
        async with running(owner) as callbacks:
            callbacks.add(event(1))
            await all_settled(owner, 1)

    async def test_of_several_addresses_only_allowed_ones_are_connected_to(
        self, owner, receiver, watch, names
    ):
        good = await Receiver(watch, "127.0.0.2").start(receiver.port)
        names["hook.example"] = ["127.0.0.1", "127.0.0.2"]
        owner.settings = settings_of(f"http://hook.example:{receiver.port}/")
        try:
            async with running(owner, allow_private=(ipaddress.ip_network("127.0.0.2/32"),)) as c:
                c.add(event(1))
                await all_settled(owner, 1)
        finally:
            await good.stop()
        assert good.ids() == ["49170.1"]
        assert receiver.requests == []

    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254", "2130706433"]
    )
    async def test_private_addresses_in_the_url_are_refused(self, owner, receiver, logged, host):
        owner.settings = settings_of(f"http://{host}:{receiver.port}/")
        async with running(owner, allow_private=()) as callbacks:
            callbacks.add(event(1))
            for _ in range(5):
                await asyncio.sleep(0)
            assert callbacks.queue_size == 1
        assert logged() == [("WARNING", "webhook URL rejected")]
        assert receiver.requests == []

    async def test_plain_http_is_refused_unless_allowed(self, owner, receiver, logged):
        async with running(owner, allow_http=False) as callbacks:
            callbacks.add(event(1))
            for _ in range(5):
                await asyncio.sleep(0)
            assert callbacks.queue_size == 1
        assert logged() == [("WARNING", "webhook URL rejected")]
        assert receiver.requests == []

    async def test_proxies_of_the_environment_are_ignored(self, owner, receiver, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        async with running(owner) as callbacks:
            callbacks.add(event(1))
            await all_settled(owner, 1)
