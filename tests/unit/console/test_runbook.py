"""Each alert leads to a section of docs/3am.md, which the console has with it."""

from __future__ import annotations

import re

import pytest

from tests.harness.runbook import PAGE, SHIPPED
from warouter.console.pages import PAGES
from warouter.console.pages.runbook import pages_of
from warouter.console.verdict import runbook
from warouter.console.verdict.rules import RULES
from warouter.console.verdict.runbook import RunbookSection, anchor_of, sections_of

SECTIONS = sections_of(PAGE.read_text())


def words(section: RunbookSection) -> str:
    """All text of a section, without marks and spaces."""
    texts = [section.title]
    for block in section.blocks:
        texts.append(block.text)
        texts += [span.text for row in block.rows for cell in row for span in cell]
    return re.sub(r"[\s|]", "", "".join(texts))


def test_the_page_that_is_shipped_is_the_page() -> None:
    assert SHIPPED.read_text() == PAGE.read_text(), "run `make docs`"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_alert_has_its_section(rule: runbook.RunbookSection) -> None:
    found = runbook.find(rule.name)  # type: ignore[attr-defined]
    assert found is not None
    assert found.blocks


def test_no_row_is_of_an_alert_that_is_not() -> None:
    assert set(runbook.runbooks_of(SECTIONS)) == {rule.name for rule in RULES}


def test_nothing_of_the_page_is_lost() -> None:
    for part in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        section = SECTIONS[anchor_of(part.partition("\n")[0])]
        text = re.sub(r"\]\([^)]*\)", "", part)  # the targets of links
        text = re.sub(r"^(```.*|- |\|-.*)", "", text, flags=re.MULTILINE)
        plain = re.sub(r"[\s|`\[\]*]", "", text)
        assert re.sub(r"[`\[\]*]", "", words(section)) == plain, section.anchor


def test_links_of_a_section_lead_to_sections() -> None:
    for section in SECTIONS.values():
        for block in section.blocks:
            for span in (span for row in block.rows for cell in row for span in cell):
                if span.kind == "link":
                    assert span.to.removeprefix(runbook.PATH) in SECTIONS, span


def test_a_section_leads_to_the_pages_that_do_what_its_commands_do() -> None:
    assert pages_of(SECTIONS["dead-letters"]) == [("Webhook", "/console/webhook")]
    assert pages_of(SECTIONS["webhooks-do-not-come"])[0] == ("Number", "/console/numbers")
    known = {(page.title, page.path) for page in PAGES}
    for section in SECTIONS.values():
        assert set(pages_of(section)) <= known


def test_nobody_is_led_to_a_section_that_is_not_there() -> None:
    assert runbook.find("first-look") is not None
    assert runbook.find("../etc/passwd") is None
