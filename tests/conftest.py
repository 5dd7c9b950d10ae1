"""No test runs against anything but the compiled extensions, nor fails for a slow machine."""

from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec

from hypothesis import HealthCheck, settings

from warouter import _batch, _hash, _ids
from warouter.link import _frames
from warouter.store import _arrays

for module in (_hash, _batch, _ids, _frames, _arrays):
    assert module.__file__.endswith(tuple(EXTENSION_SUFFIXES)), f"{module.__name__} is not compiled"

# `make test` has schemathesis. Without it the other tests can be run from .venv all the same.
collect_ignore = [] if find_spec("schemathesis") else ["api/test_schemathesis.py"]


def pytest_report_header() -> list[str]:
    return [f"left out, `make test` runs it: tests/{path}" for path in collect_ignore]


settings.register_profile("warouter", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("warouter")

pytest_plugins = ["tests.harness.postgres"]
