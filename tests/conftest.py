"""No test runs against anything but the compiled extensions."""

from importlib.machinery import EXTENSION_SUFFIXES

from warouter import _batch, _hash

for module in (_hash, _batch):
    assert module.__file__.endswith(tuple(EXTENSION_SUFFIXES)), f"{module.__name__} is not compiled"

pytest_plugins = ["tests.support.postgres"]
