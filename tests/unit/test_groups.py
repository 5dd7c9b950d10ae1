"""Tests that share a cluster stay on one worker, or each worker would start that cluster."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("of this test")
def test_the_id_of_a_test_names_its_group(request: pytest.FixtureRequest) -> None:
    """pytest-xdist goes by it (``tests/conftest.py``)."""
    if getattr(request.config.option, "loadgroup", False):
        assert request.node.nodeid.endswith("@of this test")
