"""Marketing templates have an edge of their own, and go back to the other if it refuses them."""

from __future__ import annotations

import pytest

from warouter.upstream.cloud.answers import Class, Judged
from warouter.upstream.cloud.graph.marketing import MARKETING, MESSAGES, Marketing

OFFER, CODE = ("offer", "en_US"), ("code", "en_US")
CATEGORIES = {OFFER: "MARKETING", ("offer", "de"): "UTILITY", CODE: "AUTHENTICATION"}


def body(name: str, language: str) -> bytes:
    template = f'{{"name":"{name}","language":{{"code":"{language}"}}}}'
    return f'{{"to":"+1555","type":"template","template":{template}}}'.encode()


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("onboarded", [True, False])
def test_only_marketing_templates_of_an_onboarded_account_go_there(
    on: bool, onboarded: bool
) -> None:
    marketing = Marketing(on=on)
    assert marketing.edge(1, body(*OFFER)) == MESSAGES
    marketing.learn(1, CATEGORIES, onboarded=onboarded)
    assert marketing.edge(1, body(*OFFER)) == (MARKETING if on and onboarded else MESSAGES)
    for other in (body("offer", "de"), body(*CODE), body("new", "de"), b'{"template":5}', b"{}"):
        assert marketing.edge(1, other) == MESSAGES


@pytest.mark.parametrize("code", [131055, 131063, 134100])
def test_a_template_that_is_refused_there_goes_to_the_other_edge(code: int) -> None:
    marketing = Marketing(on=True)
    marketing.learn(1, CATEGORIES, onboarded=True)
    refused = Judged(Class.FINAL, 2003, details="no", meta_code=code)
    judged = marketing.judged(1, body(*OFFER), MARKETING, refused)
    # As what never began: it keeps its attempt, and nothing of the number waits.
    assert judged == Judged(Class.NOT_TAKEN, details="no")
    assert marketing.edge(1, body(*OFFER)) == MESSAGES
    assert marketing.judged(1, body(*OFFER), MARKETING, refused) == judged  # of one that was out
    marketing.learn(1, CATEGORIES, onboarded=True)
    assert marketing.edge(1, body(*OFFER)) == MARKETING


@pytest.mark.parametrize(("edge", "code"), [(MESSAGES, 131055), (MARKETING, 131049)])
def test_other_refusals_are_what_they_are(edge: str, code: int) -> None:
    marketing = Marketing(on=True)
    marketing.learn(1, CATEGORIES, onboarded=True)
    refused = Judged(Class.FINAL, 472, meta_code=code)
    assert marketing.judged(1, body(*OFFER), edge, refused) is refused
    assert marketing.edge(1, body(*OFFER)) == MARKETING
