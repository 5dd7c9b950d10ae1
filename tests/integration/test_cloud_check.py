"""`warouter cloud check`: everything right, each thing broken in turn, and another callback URL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web
from click.testing import Result

from tests.harness.certificates import contexts
from tests.harness.cloud import client_variables
from tests.harness.served import serving
from tests.harness.shell import command
from tests.harness.webhooks import VERIFY, Webhook
from warouter.config import Settings
from warouter.errors import ConfigError
from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.server import CloudSimulator

TOKEN, SECRET = "EAAtoken-of-the-test", "app-secret-1"
PATH = "/cloud/webhook"
DAY = 86_400
MESSAGING, MANAGEMENT = "whatsapp_business_messaging", "whatsapp_business_management"


class World:
    """Meta's stand-in, a webapp's listener that it sends webhooks to, and the operator."""

    def __init__(self, simulator: CloudSimulator, hook: Webhook) -> None:
        self.simulator = simulator
        self.hook = hook
        self.graph = ""
        self.url = f"http://127.0.0.1:{hook.port}{PATH}"

    async def run(self, *arguments: str, **environment: str) -> Result:
        """The command; whatever is wrong, it shows no secret."""
        variables = client_variables(self.simulator.facts, self.graph) | environment
        result = await command(None, "cloud", "check", *arguments, **variables)
        for name in ("TOKEN", "APP_SECRET", "VERIFY_TOKEN"):
            for secret in variables[f"WAROUTER_CLOUD_{name}"].split("\n"):
                assert secret not in result.output
        return result

    async def step(self, name: str, *arguments: str, **environment: str) -> tuple[int, str]:
        """The exit code, and the line of one step."""
        result = await self.run(*arguments, **environment)
        (line,) = [one for one in result.stdout.splitlines() if f"  {name}  " in f"{one}  "]
        return result.exit_code, " ".join(line.split())


@pytest_asyncio.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    facts = CloudFacts(token=TOKEN, app_secret=SECRET, verify_token=VERIFY)
    simulator = CloudSimulator(facts)
    addresses = await simulator.start()
    hook = Webhook(settings)
    await hook.open()
    world = World(simulator, hook)
    world.graph = addresses.graph_url
    simulator.subscribe([world.url])
    yield world
    await simulator.stop()
    await hook.close()


ALL_RIGHT = """\
ok           settings      They are complete. The version is v25.0; Meta ends it on 2028-07-29.
ok           Graph API     {graph} answers.
ok           clock         It is within 5 s of Meta's.
ok           token         It is of a system user, for app 670843887433847 (warouter test), and never ends.
ok           permissions   The token has whatsapp_business_messaging and whatsapp_business_management.
ok           app secret    It is of app 670843887433847.
ok           phone number  +15557770000 (warouter test) is CONNECTED, quality GREEN.
ok           account       102290129340398 (warouter test) has the number.
ok           webhooks      Meta sends them to {url}, the app's URL.
ok           callback      It answers the handshake, with this verify token.
ok           throughput    The level STANDARD is 80 messages/s, in and out together.
Everything is right.
"""  # noqa: E501


async def test_everything_is_right(world: World) -> None:
    result = await world.run()
    assert result.output == ALL_RIGHT.format(graph=world.graph, url=world.url)
    assert result.exit_code == 0


async def test_check_prints_its_steps_as_json(world: World) -> None:
    found = msgspec.json.decode((await world.run("--json")).stdout)
    assert found["ok"] is True
    assert [step["result"] for step in found["steps"]] == ["ok"] * 11
    assert found["steps"][8] == {
        "step": "webhooks",
        "result": "ok",
        "found": f"Meta sends them to {world.url}, the app's URL.",
        "todo": "",
    }
    world.simulator.use(CloudFaults(foreign_number=True))
    result = await world.run("--json")
    found = msgspec.json.decode(result.stdout)
    assert (result.exit_code, found["ok"]) == (1, False)
    assert found["steps"][7]["result"] == "failed"
    assert found["steps"][7]["todo"].startswith("Check WAROUTER_CLOUD_WABA_ID")


@pytest.mark.parametrize(
    ("switches", "step", "said"),
    [
        ({"clock_s": -300}, "clock", " s ahead of Meta's. Have the clock"),
        ({"clock_s": 3600}, "clock", " s behind Meta's. Have the clock"),
        ({"no_token": True}, "token", "Meta does not take it: "),
        ({"expired_tokens": (TOKEN,)}, "token", "Make a new one for a system user"),
        ({"token_s": 1e-6}, "token", "It has ended. Make a new one"),
        ({"missing_scopes": (MESSAGING,)}, "permissions", f"The token lacks {MESSAGING}."),
        ({"missing_scopes": (MANAGEMENT,)}, "permissions", f"The token lacks {MANAGEMENT}."),
        ({"missing_scopes": (MANAGEMENT,)}, "account", f"The permission {MANAGEMENT} is required."),
        ({"granted": ("7",)}, "permissions", "are for other accounts than 102290129340398."),
        ({"other_secret": True}, "app secret", "It is not the secret of app 670843887433847, so"),
        ({"foreign_number": True}, "account", "have the number 106540352242922: it has none."),
        ({"missing_fields": ("messages",)}, "webhooks", "without the field messages. Subscribe it"),
        (
            {"health": {"WABA": "BLOCKED"}},
            "phone number",
            "cannot send. WABA 102290129340398 is BLOCKED: The means of payment was refused, so"
            " that templates are not sent. Add another means of payment to the account.",
        ),
    ],
)
async def test_findings_that_meta_reports(
    world: World, switches: dict[str, Any], step: str, said: str
) -> None:
    world.simulator.use(CloudFaults(**switches))
    code, line = await world.step(step)
    assert line.startswith(f"failed {step} ")
    assert said in line
    assert code == 1


@pytest.mark.parametrize(
    ("variables", "step", "said"),
    [
        ({"APP_SECRET": "another-secret"}, "app secret", "It is not the secret of app"),
        ({"PHONE_NUMBER_ID": "4711"}, "phone number", "is shown no number with the id 4711: "),
        ({"PHONE_NUMBER_ID": "4711"}, "account", "have the number 4711: it has one other."),
        (
            {"PHONE_NUMBER_ID": CloudFacts().waba_id},
            "phone number",
            "is no phone number's id. Check",
        ),
        ({"WABA_ID": "4711"}, "account", "is shown no account 4711: "),
        ({"VERIFY_TOKEN": "another-verify"}, "callback", "has another verify token. Give the"),
        ({"BASE_URL": "http://127.0.0.1:1"}, "Graph API", "cannot be connected to (Connection"),
        (
            {"TLS_CERT": "/nowhere/cert", "TLS_KEY": "/nowhere/key"},
            "settings",
            "WAROUTER_CLOUD_TLS_CERT (/nowhere/cert); WAROUTER_CLOUD_TLS_KEY (/nowhere/key).",
        ),
    ],
)
async def test_findings_in_the_settings(
    world: World, variables: dict[str, str], step: str, said: str
) -> None:
    given = {f"WAROUTER_CLOUD_{name}": value for name, value in variables.items()}
    code, line = await world.step(step, **given)
    assert line.startswith(f"failed {step} ")
    assert said in line
    assert code == 1


@pytest.mark.parametrize(
    ("switches", "variables", "step", "said"),
    [
        ({"clock_s": 20}, {}, "clock", " s behind Meta's. Have the clock"),
        ({"token_s": 3.5 * DAY}, {}, "token", "and ends in 3 days. Make a new one"),
        ({"token_s": DAY / 2}, {}, "token", "and ends within a day. Make a new one"),
        ({"no_debug_token": True}, {}, "token", "Meta does not say what it may do, nor when"),
        ({}, {"APP_SECRET": f"{SECRET}\nolder-secret"}, "app secret", "Line 2 is not of app"),
        ({"health": {"APP": "LIMITED"}}, {}, "phone number", "can send with limits. APP 6708438"),
        (
            {"missing_fields": ("account_update",)},
            {},
            "webhooks",
            "without account_update, which tell of trouble. Subscribe it to them in the app's",
        ),
        ({}, {"VERSION": "v20.0"}, "settings", "v20.0, which Meta has ended: set a newer one."),
        ({}, {"RATE": "500"}, "throughput", "is 500: Meta refuses what is above. Set it to auto."),
    ],
)
async def test_warnings_are_no_failures(
    world: World, switches: dict[str, Any], variables: dict[str, str], step: str, said: str
) -> None:
    world.simulator.use(CloudFaults(**switches))
    given = {f"WAROUTER_CLOUD_{name}": value for name, value in variables.items()}
    code, line = await world.step(step, **given)
    assert line.startswith(f"warning {step} ")
    assert said in line
    assert code == 0


async def test_levels(world: World) -> None:
    world.simulator.use(CloudFaults(level=1000))
    said = "ok throughput The level HIGH is 1000 messages/s, in and out together"
    assert await world.step("throughput") == (0, f"{said}.")
    limited = await world.step("throughput", WAROUTER_CLOUD_RATE="50")
    assert limited == (0, f"{said}; WAROUTER_CLOUD_RATE makes 50 of it.")


async def test_without_debug_token_the_calls_tell(world: World) -> None:
    """The app is named by its own node, and its secret is checked all the same."""
    world.simulator.use(CloudFaults(no_debug_token=True))
    result = await world.run()
    lines = [line.split("  ")[0] for line in result.stdout.splitlines()[:-1]]
    assert lines == ["ok"] * 3 + ["warning"] + ["ok"] * 7
    assert result.stdout.endswith("Of 11 steps: 1 with a warning.\n")
    assert result.exit_code == 0
    world.simulator.use(CloudFaults(no_debug_token=True, missing_scopes=(MESSAGING,)))
    assert (await world.step("permissions"))[1].startswith("failed permissions The token lacks")


async def test_steps_after_a_failed_one_are_not_checked(world: World) -> None:
    world.simulator.use(CloudFaults(no_token=True))
    lines = (await world.run()).stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[:-1]] == ["ok"] * 3 + ["failed"] + [
        "not checked"
    ] * 7
    assert lines[-2] == "not checked  throughput    It needs what failed above: token."
    assert lines[-1] == "Of 11 steps: 1 failed, 7 not checked."


async def test_a_number_that_is_not_registered(world: World) -> None:
    world.simulator.number.deregister({})
    assert await world.step("phone number") == (
        1,
        "failed phone number +15557770000 (warouter test) is DISCONNECTED, not CONNECTED."
        " Register it: POST /v1/account has a code sent, POST /v1/account/verify takes it.",
    )


async def test_webhooks_need_an_account_with_the_number_not_one_that_is_registered(
    world: World,
) -> None:
    world.simulator.number.deregister({})
    assert (await world.step("webhooks"))[1].startswith("ok webhooks")
    world.simulator.use(CloudFaults(foreign_number=True))
    needs = "It needs what failed above"
    assert (await world.step("webhooks"))[1] == f"not checked webhooks {needs}: account."
    given = {"WAROUTER_CLOUD_PHONE_NUMBER_ID": "4711"}
    for step in ("webhooks", "callback", "throughput"):
        assert (await world.step(step, **given))[1] == f"not checked {step} {needs}: phone number."


async def test_an_app_that_is_not_subscribed(world: World) -> None:
    world.simulator.account.unsubscribe({})
    assert await world.step("webhooks") == (
        1,
        "failed webhooks Meta sends none: app 670843887433847 is not subscribed to the account."
        " Set one: warouter cloud check --subscribe https://YOUR-HOST/cloud/webhook",
    )
    assert "It needs what failed above: webhooks." in (await world.step("callback"))[1]


async def test_no_url_at_all_and_one_that_leads_elsewhere(world: World) -> None:
    world.simulator.subscribe(())
    code, line = await world.step("webhooks")
    assert (code, "no callback URL is set, not even the app's. Set one" in line) == (1, True)
    world.simulator.number.callbacks.application = "http://meta.example/cloud/webhook"
    code, line = await world.step("webhooks")
    assert (code, "but it must begin with https://. Set one" in line) == (1, True)
    world.simulator.number.callbacks.application = f"{world.url}s"
    result = await world.run()
    assert "warouter hears at /cloud/webhook: your proxy has to lead there." in result.stdout
    assert "It is not known for a webapp's, so it is not asked." in result.stdout
    assert result.exit_code == 0  # a proxy may translate it


async def test_a_callback_that_does_not_answer_here(world: World) -> None:
    world.simulator.number.callbacks.number = f"http://127.0.0.1:1{PATH}"
    code, line = await world.step("callback")
    assert line == (
        "failed callback 127.0.0.1:1 cannot be connected to (Connection refused). Check that"
        " something listens there, and that no firewall is between."
    )
    assert code == 1


async def test_a_callback_whose_certificate_nobody_trusts(world: World) -> None:
    async with serving(page, contexts("localhost")[0]) as url:
        world.simulator.number.callbacks.number = f"{url}{PATH}"
        code, line = await world.step("callback")
    host = url.removeprefix("https://")
    assert f"{host} has a certificate that is not valid (self" in line
    assert "sent with its whole chain." in line
    assert (code, line.startswith("failed")) == (1, True)


async def test_something_else_answers_for_the_graph_api(world: World) -> None:
    async with serving(page) as url:
        code, line = await world.step("Graph API", WAROUTER_CLOUD_BASE_URL=url)
    assert f"What answers at {url} is not the Graph API (HTTP 200)." in line
    assert code == 1


async def page(_: web.Request) -> web.Response:
    """What a server says that has a page for everything."""
    return web.Response(text="<html>", content_type="text/html")


# --subscribe


async def test_a_callback_url_is_set_and_asked_by_meta(world: World) -> None:
    result = await world.run("--subscribe", world.url)
    lines = result.output.splitlines()
    assert lines[8:11] == [
        f"ok           subscribe     Meta asked {world.url}, was answered, and calls it for this"
        " number.",
        f"ok           webhooks      Meta sends them to {world.url}, which is set for this number.",
        "ok           callback      It answers the handshake, with this verify token.",
    ]
    assert result.exit_code == 0
    assert world.simulator.number.callbacks.number == world.url
    assert world.simulator.sender.urls == [world.url]
    assert world.hook.listener.counts["handshake"] >= 2
    again = await world.run("--subscribe", world.url)
    assert again.output == result.output


async def test_the_app_is_subscribed_unless_it_is(world: World) -> None:
    world.simulator.account.unsubscribe({})
    code, line = await world.step("subscribe", "--subscribe", world.url)
    assert line.startswith("ok subscribe The app is subscribed now. Meta asked ")
    assert (code, world.simulator.account.subscribed) == (0, True)


async def test_a_url_with_another_verify_token_is_refused(world: World) -> None:
    code, line = await world.step(
        "subscribe", "--subscribe", world.url, WAROUTER_CLOUD_VERIFY_TOKEN="another-verify"
    )
    assert line == (
        f"failed subscribe Meta refused {world.url}: (2200) Callback verification failed."
        f" Seen from here, the webapp at 127.0.0.1:{world.hook.port} has another verify token."
        " Give the webapps the WAROUTER_CLOUD_VERIFY_TOKEN that this command has, and restart those"
        " that have it from a variable."
    )
    assert code == 1
    assert world.simulator.number.callbacks.number == ""


async def test_a_url_where_nobody_listens_leaves_the_one_before(world: World) -> None:
    assert (await world.run("--subscribe", world.url)).exit_code == 0
    code, line = await world.step("subscribe", "--subscribe", f"http://127.0.0.1:1{PATH}")
    assert "Seen from here, 127.0.0.1:1 cannot be connected to (Connection refused)." in line
    assert (code, world.simulator.number.callbacks.number) == (1, world.url)


async def test_without_the_permission_nothing_is_subscribed(world: World) -> None:
    world.simulator.use(CloudFaults(missing_scopes=(MANAGEMENT,)))
    code, line = await world.step("subscribe", "--subscribe", world.url)
    assert (code, line) == (
        1,
        "not checked subscribe It needs what failed above: account.",
    )
    assert world.simulator.number.callbacks.number == ""


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.com/cloud/webhook", "it must begin with https://"),
        ("ftp://example.com/", "it must begin with https://"),
        ("example.com", "it is no URL that can be called"),
        ("https://user@example.com/", "it is no URL that can be called"),
        ("https://example.com/a b", "it is no URL that can be called"),
        ("https://example.com:99999/", "it is no URL that can be called"),
        ("https://example.com/" + "x" * 200, "it has more than 200 characters"),
    ],
)
async def test_a_url_that_meta_cannot_call_is_not_tried(world: World, url: str, said: str) -> None:
    result = await world.run("--subscribe", url)
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == f"--subscribe {url}: {said}."
    assert result.exception.exit_code == 2
    assert world.hook.listener.counts["handshake"] <= 1  # that of the beginning


async def test_missing_settings_are_named(world: World) -> None:
    result = await world.run(WAROUTER_CLOUD_WABA_ID="")
    assert isinstance(result.exception, ConfigError)
    assert "WAROUTER_CLOUD_WABA_ID is missing" in str(result.exception)
