"""``warouter show number``: the registered number, and how it fares at the Cloud API."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from warouter.cli.database import ask, cluster_option
from warouter.cli.status_cloud import facts_of
from warouter.store.database import Connection
from warouter.store.views.doubts import CloudStatus, read_cloud
from warouter.store.views.setup.registration_status import RegistrationStatus, read_registration

APPLICATION = "warouter show"


@click.command("number")
@cluster_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(data_dir: Path | None, as_json: bool) -> None:
    """Show the registered number: its registration, and what the Cloud API says of it."""
    registration, cloud = ask(data_dir, APPLICATION, _read)
    if as_json:
        click.echo(msgspec.json.encode({"registration": registration, "cloud": cloud}))
        return
    facts = {"registered": _registered(registration)}
    if registration.asked_number is not None:
        facts["code asked"] = registration.asked_number
    if registration.number is not None:
        facts["two-step"] = "on" if registration.two_step else "off"
        facts["certificate"] = _certificate(registration)
    if cloud is not None:
        known = cloud.number.facts if cloud.number is not None else None
        facts |= {"display name": known.name} if known is not None and known.name else {}
        facts |= facts_of(cloud)
    for name, fact in facts.items():
        click.echo(f"{name:<12}  {fact}")


async def _read(connection: Connection) -> tuple[RegistrationStatus, CloudStatus | None]:
    return await read_registration(connection), await read_cloud(connection)


def _registered(found: RegistrationStatus) -> str:
    if found.number is None or found.registered_at is None:
        return "no number: POST /v1/account"
    return f"{found.number} since {found.registered_at:%Y-%m-%d %H:%M:%S}Z"


def _certificate(found: RegistrationStatus) -> str:
    if found.cert_ends is None:
        return "none that can be read"
    return f"{found.cert_name}, until {datetime.fromtimestamp(found.cert_ends, UTC):%Y-%m-%d}"
