"""Settings from an environment: what is wrong is named, with what to do."""

from __future__ import annotations

import ast
import re

import msgspec
import pytest

from tests.harness.sources import FILES, reads_sources, trees
from tests.harness.variables import BEGIN, END, PAGE, markdown, page
from warouter.config import Settings, Timing, load, unknown_names
from warouter.errors import ConfigError
from warouter.local.environment import outer_settings
from warouter.node.reporter import SHOWN
from warouter.variables import GROUPS, SUPERVISED, described

BY_SETUP = {"WAROUTER_CYTHON_DEBUG"}  # read when the extensions are built, see CONTRIBUTING.md


@pytest.mark.parametrize(
    ("environ", "name", "value"),
    [
        ({}, "hold", 10.0),
        ({}, "database", "warouter"),
        ({"WA_DB_NAME_PREFIX": "shop_"}, "database", "shop_warouter"),
        ({"WA_APP_MULTICONNECT": "1"}, "multiconnect", True),
        ({"WA_DB_HOSTNAME": "db", "WA_DB_PORT": "3306"}, "db_servers", [("db", 3306)]),
        ({"WA_DB_HOSTNAME": "a, /run/pg"}, "db_servers", [("a", 5432), ("/run/pg", 5432)]),
        ({"WA_DB_HOSTNAME": "a, /run/pg", "WA_DB_PORT": "1,2"}, "db_where", "a:1,/run/pg:2"),
        ({"COREAPP_EXTERNAL_PORTS": "6250,6251,6252,6253"}, "link_port", 6250),
        ({}, "allowed_webhook_ports", {443, 8443}),
        (
            {"WAROUTER_WEBHOOK_PORTS": "443, 9443", "WAROUTER_WEBHOOK_ALLOW_HTTP": "1"},
            "allowed_webhook_ports",
            {80, 443, 9443},
        ),
    ],
)
def test_defaults_and_conversions(environ: dict[str, str], name: str, value: object) -> None:
    assert getattr(load(environ), name) == value


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"WA_DB_PORT": "many"}, "WA_DB_PORT"),
        ({"WA_DB_HOSTNAME": "a,b,c", "WA_DB_PORT": "5432,5433"}, "one port for all hosts"),
        ({"WA_DB_HOSTNAME": "a,,b"}, "WA_DB_HOSTNAME"),
        ({"WA_DB_ENGINE": "MYSQL"}, "PostgreSQL only"),
        ({"WA_API_KEY": "short"}, "12 to 128"),
        ({"WAROUTER_UPSTREAM": "cloud"}, "WAROUTER_CLOUD_PHONE_NUMBER_ID is missing"),
        ({"WAROUTER_UPSTREAM": "sms"}, "unknown"),
        ({"WAROUTER_SHARDS_CERT": "maybe"}, "after-7-days or never"),
        ({"WAROUTER_DB_SCHEMA": "a; drop"}, "plain identifier"),
        ({"WAROUTER_LOG_LEVEL": "FOO"}, "must be one of"),
        # Above it, one message would cut the connection to the upstream again and again.
        (
            {"WAROUTER_JSON_LIMIT": "1048576"},
            "WAROUTER_JSON_LIMIT must be a whole number <= 524288",
        ),
        ({"WAROUTER_JSON_LIMIT": "0"}, "WAROUTER_JSON_LIMIT must be a whole number >= 1024"),
        ({"WAROUTER_PENDING": "0"}, "WAROUTER_PENDING must be a number >= 1"),
        ({"WAROUTER_PENDING": "nan"}, "WAROUTER_PENDING must be a number >= 1"),
        ({"WAROUTER_RETENTION": "-1"}, "WAROUTER_RETENTION must be a number >= 0"),
        ({"WAROUTER_RETENTION": "nan"}, "WAROUTER_RETENTION"),
        ({"WAROUTER_HOLD": "nan"}, "WAROUTER_HOLD"),
        ({"WAROUTER_MEDIA_QUOTA": "-1"}, "WAROUTER_MEDIA_QUOTA"),
        ({"WAROUTER_PUBLIC_PORT": "65536"}, "WAROUTER_PUBLIC_PORT"),
        ({"COREAPP_HOSTNAME": "0.0.0.0"}, "webapps reach this host at"),
        ({"COREAPP_EXTERNAL_PORTS": "x"}, "COREAPP_EXTERNAL_PORTS"),
        ({"COREAPP_EXTERNAL_PORTS": "70000"}, "COREAPP_EXTERNAL_PORTS"),
        ({"WAROUTER_LEASE": "0.5", "WAROUTER_MARGIN": "0.1"}, "three beats must fit"),
        *(
            ({"WAROUTER_WEBHOOK_PORTS": ports}, "WAROUTER_WEBHOOK_PORTS")
            for ports in ("https", "443,", "0", "65536", "-1")
        ),
    ],
)
def test_bad_variables_are_named(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        checked(load(environ))


def checked(settings: Settings) -> object:
    """Whatever is read of a setting only once it is needed."""
    return settings.link_port, settings.timing, settings.allowed_webhook_ports


def test_the_upstream_has_the_name_that_the_database_knows_it_by() -> None:
    assert Settings().upstream_name == "simulator"
    number = Settings(upstream="cloud", cloud_phone_number_id="105954558954427")
    assert number.upstream_name == "cloud:105954558954427"


def test_a_clockwork_that_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="a fifth of the lease"):
        Timing(margin=0.5)


def test_typos_are_found_and_the_products_unused_names_are_not() -> None:
    given = {"WA_DB_HOSTNMAE": "", "WA_WEB_JWT_CRYPTO_KEY": "", "WAROUTER_HOLD": "", "PATH": ""}
    assert unknown_names(given) == ["WA_DB_HOSTNMAE"]


def test_the_operators_tables_are_those_of_the_code() -> None:
    text = PAGE.read_text()
    assert (text.count(BEGIN), text.count(END)) == (1, 1)
    assert page(text) == text, "run `make docs`"


def test_every_setting_is_in_one_group() -> None:
    described = [variable.name for group in GROUPS for variable in group.variables]
    assert sorted(described) == sorted(f.encode_name for f in msgspec.structs.fields(Settings))


@reads_sources
def test_every_setting_is_read_somewhere() -> None:
    nodes = [node for tree in trees() for node in ast.walk(tree)]
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    unread = [name for name in Settings.__struct_fields__ if name not in read]
    assert unread == [], "nothing in src/ reads these"


def test_the_words_are_on_every_variable_and_no_other_in_the_order_of_the_groups() -> None:
    variables = [variable for group in GROUPS for variable in group.variables]
    assert list(described()) == [variable.name for variable in (*variables, *SUPERVISED)]


def test_every_meaning_is_one_sentence() -> None:
    meanings = [v.meaning for group in GROUPS for v in group.variables]
    assert [m for m in meanings if not m.endswith(".") or ". " in m] == []


def test_every_variable_that_is_read_anywhere_is_in_the_operators_tables() -> None:
    read = {name for file in FILES for name in _names_read(file.read_text())}
    assert {"NOTIFY_SOCKET", "WAROUTER_STOP_ON_EOF", "WA_DB_HOSTNAME"} <= read
    tables = markdown()
    assert [name for name in sorted(read - BY_SETUP) if f"`{name}`" not in tables] == []


def _names_read(source: str) -> set[str]:
    """Names of this product, and whatever else is looked up in an environment."""
    ours = re.findall(r'"((?:WA|WACORE|WAROUTER|COREAPP|WEBAPP)_[A-Z0-9_]*[A-Z0-9])"', source)
    others = re.findall(r'(?:environ(?:\.get\(|\[)|getenv\()"(\w+)"', source)
    return {*ours, *others}


def test_support_shows_known_variables_without_secrets() -> None:
    names = {field.encode_name for field in msgspec.structs.fields(Settings)}
    assert names >= SHOWN
    words = ("PASSWORD", "KEY", "USERNAME", "SECRET", "URL")
    assert [name for name in SHOWN if any(word in name for word in words)] == []


def test_a_local_cluster_takes_the_settings_of_outside_but_what_it_decides_itself() -> None:
    passed_on = {
        "WAROUTER_REQUIRE_CONTACT_CHECK": "1",
        "WA_APP_MULTICONNECT": "0",
        "WAROUTER_CLOUD_TOKEN": "EAA",
        "WAROUTER_CLOUD_DOUBT_SECONDS": "5",
    }
    others = {
        "WAROUTER_RATE_LIMIT": "",
        "WAROUTER_TLS_CERT": "/x",
        "WA_DB_HOSTNAME": "db",
        "WAROUTER_TYPO": "1",
        "PATH": "/bin",
    }
    assert outer_settings(passed_on | others) == passed_on


@pytest.mark.parametrize(
    ("url", "bucket"),
    [
        ("s3://media", ("media", "")),
        ("s3://media/", ("media", "")),
        ("s3://me.dia-1/wa/Media_2.x/", ("me.dia-1", "wa/Media_2.x")),
    ],
)
def test_a_bucket_and_its_prefix(url: str, bucket: tuple[str, str]) -> None:
    assert load({"WAROUTER_MEDIA_URL": url}).media_bucket == bucket


@pytest.mark.parametrize(
    "url",
    [
        "media",
        "https://media",
        "s3://",
        "s3://Media",
        "s3://media/../other",
        "s3://media/a/../b",
        "s3://media/.hidden",
        "s3://media//a",
        "s3://media/a b",
        "s3://media/a?b",
        "s3://media/é",
        # Refused at once, too: each letter more once doubled the time.
        f"s3://media/{'a' * 200}!",
    ],
)
def test_a_bad_bucket_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="must be s3://BUCKET or s3://BUCKET/PREFIX"):
        load({"WAROUTER_MEDIA_URL": url})


@pytest.mark.parametrize(
    "endpoint", ["s3.test", "ftp://s3.test", "https://", "http://me:pw@s3.test"]
)
def test_an_endpoint_of_media_is_a_url_without_a_login(endpoint: str) -> None:
    """It is shown by /v1/support."""
    given = {"WAROUTER_MEDIA_URL": "s3://media", "WAROUTER_MEDIA_S3_ENDPOINT": endpoint}
    with pytest.raises(ConfigError, match="must be a URL without a login") as caught:
        load(given)
    assert "pw" not in str(caught.value)
