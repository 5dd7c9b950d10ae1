"""Each alert leads to a section of docs/3am.md, which the console has with it."""

from __future__ import annotations

import html
import re

import pytest

from tests.harness import runbook as page
from warouter.console.pages import PAGES
from warouter.console.pages.runbook import pages_of
from warouter.console.verdict.judge import AlertRule
from warouter.console.verdict.rules import RULES, RUNBOOKS
from warouter.console.verdict.runbook import PATH, sections


def words(text: str) -> str:
    """All text of a section, without marks and spaces."""
    return re.sub(r"[\s|`\[\]*]", "", text)


def test_the_page_that_is_shipped_is_made_of_the_page() -> None:
    assert page.SHIPPED.read_text() == page.made(), "run `make docs`"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_alert_has_its_section(rule: AlertRule) -> None:
    assert sections()[RUNBOOKS[rule.name]].body


def test_no_row_is_of_an_alert_that_is_not() -> None:
    assert page.runbooks() == RUNBOOKS


def test_nothing_of_the_page_is_lost() -> None:
    assert list(sections()) == list(page.sections())
    for anchor, section in sections().items():
        source = page.sections()[anchor]
        assert section.title == source.title
        text = re.sub(r"\]\(#[^)]*\)", "", source.text)  # the targets of links within the page
        text = re.sub(r"^(```.*|- |\|-.*)", "", text, flags=re.MULTILINE)
        body = re.sub(r"<caption>.*?</caption>|<[^>]+>", "", section.body)
        assert words(html.unescape(body)) == words(text), anchor


def test_links_of_a_section_lead_to_sections() -> None:
    for section in sections().values():
        for target in re.findall(r'href="([^"]*)"', section.body):
            assert target.removeprefix(PATH) in sections(), target


def test_the_rendering_is_what_readers_of_screens_and_the_policy_want() -> None:
    text = "Why *so*?\n\n| see | do |\n|---|---|\n| `a<b` | [it](x.md) |\n\n```\n$ a & b\n```\n"
    assert page.rendered(page.Section("It <is>", text)).split("\n") == [
        *("<p>Why <em>so</em>?</p>", '<div class="table" tabindex="0"><table>'),
        *("<caption>It &lt;is&gt;</caption>", "<thead>", "<tr>", '<th scope="col">see</th>'),
        *('<th scope="col">do</th>', "</tr>", "</thead>", "<tbody>", "<tr>"),
        '<th scope="row"><code>a&lt;b</code></th>',
        '<td>it <span class="muted">(x.md)</span></td>',
        *("</tr>", "</tbody>", "</table></div>", '<pre class="card">$ a &amp; b</pre>', ""),
    ]
    assert "<script" not in page.rendered(page.Section("", "<script>alert(1)</script>"))


def test_a_section_leads_to_the_pages_that_do_what_its_commands_do() -> None:
    assert pages_of(sections()["dead-letters"]) == [("Webhook", "/console/webhook")]
    assert pages_of(sections()["webhooks-do-not-come"])[0] == ("Number", "/console/numbers")
    known = {(page.title, page.path) for page in PAGES}
    for section in sections().values():
        assert set(pages_of(section)) <= known
