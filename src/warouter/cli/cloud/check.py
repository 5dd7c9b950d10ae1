"""``warouter cloud check``: whether everything is right for the Cloud API, step by step."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec
import uvloop

from warouter.cli.cloud import number_settings
from warouter.cli.nodes import data_dir_option
from warouter.errors import ConfigError
from warouter.upstream.cloud.check.step import CheckStep, StepResult
from warouter.upstream.cloud.check.walk import walk
from warouter.upstream.cloud.check.webhooks import fault
from warouter.upstream.cloud.secrets import Secrets


class CheckReport(msgspec.Struct, frozen=True):
    """The object that ``--json`` prints."""

    ok: bool
    steps: list[CheckStep]


@click.command("check")
@data_dir_option
@click.option(
    "--subscribe",
    "url",
    metavar="URL",
    default=None,
    help="Have the number's webhooks sent to this URL first, which Meta asks at once.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the same as one JSON object.")
def command(data_dir: Path | None, url: str | None, as_json: bool) -> None:
    """Check token, number, account and webhooks with Meta.

    One line for each step: what is there, or what is wrong and what to do. Nothing is changed but
    by --subscribe, and nothing is sent to anybody. Exit code 1 if a step failed. It needs the
    WAROUTER_CLOUD_* variables, no database and no running process.
    """
    settings = number_settings(data_dir)
    cloud, of = settings.cloud, settings.number_cloud
    secrets = Secrets(of)
    if url is not None and (wrong := fault(url, cloud.base_url)):
        raise ConfigError(f"--subscribe {url or '(nothing)'}: {wrong}.")
    steps = uvloop.run(walk(cloud, of, secrets, url or ""))
    report = CheckReport(not any(step.failed for step in steps), steps)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))
    else:
        _show(report)
    if not report.ok:
        sys.exit(1)


def _show(report: CheckReport) -> None:
    for step in report.steps:
        words = f"{step.found} {step.todo}".rstrip()
        click.echo(f"{step.result:<11}  {step.step:<12}  {words}")
    failed = sum(step.failed for step in report.steps)
    warned = sum(step.result is StepResult.WARNING for step in report.steps)
    skipped = sum(step.result is StepResult.SKIPPED for step in report.steps)
    counts = ((failed, "failed"), (warned, "with a warning"), (skipped, "not checked"))
    said = ", ".join(f"{count} {word}" for count, word in counts if count)
    click.echo(f"Of {len(report.steps)} steps: {said}." if said else "Everything is right.")
