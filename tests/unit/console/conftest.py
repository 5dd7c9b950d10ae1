"""The templates of the console, compiled once: that costs as much as hundreds of pages."""

from __future__ import annotations

import pytest

from warouter.console.render import Renderer
from warouter.console.static import Files

renders = pytest.mark.xdist_group("renderer")
"""For tests that want them: one worker compiles them."""


@pytest.fixture(scope="session")
def renderer() -> Renderer:
    return Renderer(Files().url)
