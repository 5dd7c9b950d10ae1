"""No test runs against anything but the compiled extensions, nor fails for a slow machine."""

import signal
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from typing import Any

import jinja2
import pytest
from _pytest.nodeid import NodeId
from hypothesis import HealthCheck, settings

from tests.harness.programs import lacking
from tests.harness.wait import PATIENCE
from warouter import _batch, _hash
from warouter.api.messages import _plain, _scan
from warouter.link import _frames
from warouter.store import _arrays
from warouter.upstream.cloud.graph import calls

for module in (_hash, _batch, _frames, _arrays, _scan, _plain):
    assert module.__file__.endswith(tuple(EXTENSION_SUFFIXES)), f"{module.__name__} is not compiled"

# In the background of a shell it is ignored, and so would be by the processes that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# `make test` has schemathesis. Without it the other tests can be run from .venv all the same.
collect_ignore = [] if find_spec("schemathesis") else ["api/test_schemathesis.py"]


def pytest_report_header() -> list[str]:
    return [f"left out, `make test` runs it: tests/{path}" for path in collect_ignore]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The mark xdist_group keeps tests on one worker: pytest-xdist 3.8 writes it into what pytest
    9.2 reads no more, and each worker would start each of the clusters that tests share.
    """
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        for mark in item.iter_markers("xdist_group"):
            if not item.nodeid.endswith(f"@{mark.args[0]}"):
                item._id = NodeId.parse(f"{item.nodeid}@{mark.args[0]}")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let a test that wants a program which is not here be skipped, before any of its fixtures."""
    wanted = [name for mark in item.iter_markers("program") for name in mark.args]
    if lacks := lacking(*wanted):
        item.add_marker(pytest.mark.skip(reason=f"not run ({lacks})"))


@pytest.fixture(autouse=True)
def patient_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call of the Graph API ends because the machine has other work."""
    for limit in ("SECONDS", "CONNECT_SECONDS"):
        monkeypatch.setattr(calls, limit, PATIENCE)


@pytest.fixture(autouse=True, scope="session")
def templates_compiled_once() -> Iterator[None]:
    """Each console compiles all of its templates, which takes half a core second."""
    compiled: dict[Any, Any] = {}
    compile_anew = jinja2.Environment.compile

    def once(self: jinja2.Environment, *source: Any, **more: Any) -> Any:
        key = source, *more.items()
        if key not in compiled:
            compiled[key] = compile_anew(self, *source, **more)
        return compiled[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jinja2.Environment, "compile", once)
        yield


# `make test` plays the same examples each time; `make properties` looks for new ones.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", patient)
settings.register_profile("warouter", patient, derandomize=True)
settings.load_profile("warouter")

pytest_plugins = ["tests.harness.postgres"]
