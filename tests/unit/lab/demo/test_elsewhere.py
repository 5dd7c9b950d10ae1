"""The demo against a cluster whose processes run in other containers."""

import pytest

from warouter.config import load
from warouter.errors import CommandError
from warouter.lab.demo.business import DemoWebhook
from warouter.lab.demo.demo_command import table
from warouter.lab.demo.gaps import Failover
from warouter.lab.demo.run import DemoPlan, DemoReport
from warouter.lab.demo.scene import Scene
from warouter.lab.demo.tally import Observations, judge


def scene(tmp_path, processes):
    settings = load({"WA_DB_HOSTNAME": "postgres"})
    described = {"processes": processes}

    async def add(_count):
        raise AssertionError("nothing is started here")

    return Scene(lambda: described, add, None, settings, folder=tmp_path, lasting=True)


def test_a_cluster_without_processes_here_is_not_local(tmp_path):
    assert not scene(tmp_path, []).local
    assert scene(tmp_path, [{"name": "coreapp-1", "role": "coreapp", "pid": 1}]).local


def test_the_report_says_that_no_failover_was_tried():
    report = DemoReport(
        tally=judge(Observations()),
        doubted=None,
        failover=Failover(None, None, 0),
        lost_slots=0,
        moved_slots=0,
        moved_gap=None,
        moved_unseen=0,
        unmoved_gap=None,
        change_seconds=0.1,
        shards=(2, 4),
        spacing=0.2,
        sending_seconds=1.0,
        answers=(0.01, 0.02),
        first_sent_at=None,
    )
    columns = table(report, DemoPlan(), 0.0).columns
    cells = list(zip(*(column.cells for column in columns), strict=True))
    assert ("failover", "not tried") in [row[:2] for row in cells]


async def test_a_host_of_another_machine_is_refused_in_one_sentence():
    with pytest.raises(CommandError, match="give --webhook-host a name or an address of this"):
        async with DemoWebhook("192.0.2.1"):
            pass


async def test_the_webhook_is_called_by_the_host_it_was_given():
    async with DemoWebhook("localhost") as webhook:
        assert webhook.url.startswith("http://localhost:")
