import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    said = "measure what ttl, WAROUTER_HOLD and Patroni's modes do, in place of the test"
    parser.addoption("--rows", action="store_true", help=said)
