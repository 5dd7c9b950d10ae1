"""The variables of the Cloud API: what is missing, malformed or dangerous is said in a sentence."""

from __future__ import annotations

from datetime import date

import pytest
from msgspec.structs import replace

from warouter.cloud_number import NumberCloud
from warouter.cloud_settings import CloudSettings
from warouter.config import Settings, load
from warouter.errors import ConfigError
from warouter.variables import SecretSource

PREFIX = "WAROUTER_CLOUD_"
NEEDED = {
    "PHONE_NUMBER_ID": "106540352242922",
    "WABA_ID": "102290129340398",
    "TOKEN": "EAAtoken",
    "APP_SECRET": "deadbeef",
    "VERIFY_TOKEN": "verify-me",
}
DAY = date(2026, 11, 28)


def loaded(**changes: str) -> Settings:
    """A complete environment with these changes; "" takes a variable away."""
    given = {f"{PREFIX}{name}": value for name, value in {**NEEDED, **changes}.items()}
    return load({"WAROUTER_UPSTREAM": "cloud", **given})


def read(**changes: str) -> CloudSettings:
    """The installation's settings in it."""
    return loaded(**changes).cloud


def number(**changes: str) -> NumberCloud:
    """The number in it."""
    return loaded(**changes).number_cloud


def test_defaults() -> None:
    cloud, of = read(), number()
    assert (of.id, of.name, of.portfolio, of.app.id) == (1, "default", 1, 1)
    assert (of.phone_number_id, of.waba_id) == ("106540352242922", "102290129340398")
    assert (of.in_doubt, of.rate, of.app.version) == ("resend", None, "v25.0")
    assert cloud.base_url == "https://graph.facebook.com"
    assert cloud.version == "v25.0"
    assert cloud.listen == ("127.0.0.1", 9095)
    assert (cloud.order, cloud.bsuid) == ("accepted", "alias")
    assert (cloud.doubt_seconds, cloud.late_success) == (60.0, False)
    assert cloud.fence == 31.5
    assert cloud.warnings(DAY) == []


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("LISTEN", "[::1]:0", "listen", ("::1", 0)),
        ("LISTEN", "hooks.internal:443", "listen", ("hooks.internal", 443)),
        ("BASE_URL", "http://127.0.0.1:8080/", "base_url", "http://127.0.0.1:8080"),
        ("BASE_URL", "http://[::1]:8080", "base_url", "http://[::1]:8080"),
        ("BASE_URL", "http://localhost:80", "base_url", "http://localhost:80"),
        ("BASE_URL", "https://graph.example/way", "base_url", "https://graph.example/way"),
        ("LATE_SUCCESS", "1", "late_success", True),
        ("VERSION", "v21.0", "version", "v21.0"),
    ],
)
def test_conversions(name: str, text: str, field: str, value: object) -> None:
    assert getattr(read(**{name: text}), field) == value


def test_the_settings_of_the_number() -> None:
    of = number(RATE="12.5", IN_DOUBT="hold", VERSION="v21.0")
    assert (of.rate, of.in_doubt, of.app.version) == (12.5, "hold", "v21.0")


def test_number_1_goes_without_its_name_in_log_lines() -> None:
    of = number()
    assert of.logged == {}
    assert replace(of, id=2, name="shop").logged == {"number": "shop"}


@pytest.mark.parametrize("name", NEEDED)
def test_missing_settings_are_named(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{PREFIX}{name} is missing"):
        read(**{name: ""})


@pytest.mark.parametrize("name", ["TOKEN", "APP_SECRET", "VERIFY_TOKEN"])
def test_a_secret_is_a_variable_or_a_file(name: str) -> None:
    def source(**changes: str) -> SecretSource:
        of = number(**changes)
        sources = {"TOKEN": of.token, "APP_SECRET": of.app.secrets}
        return sources.get(name, of.app.verify_token)

    assert source() == SecretSource(value=NEEDED[name])
    assert source(**{name: "", f"{name}_FILE": "/run/secret"}) == SecretSource(path="/run/secret")
    with pytest.raises(ConfigError, match=f"{PREFIX}{name} and {PREFIX}{name}_FILE are both set"):
        read(**{f"{name}_FILE": "/run/secret"})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"PHONE_NUMBER_ID": "+49 151"}, "PHONE_NUMBER_ID is '[+]49 151'; it must be"),
        ({"PHONE_NUMBER_ID": "\u0661"}, "PHONE_NUMBER_ID"),
        ({"WABA_ID": "1/2"}, "WABA_ID"),
        ({"VERSION": "25"}, "VERSION is '25'; it must be like v25.0"),
        ({"VERSION": "v25.0/x"}, "VERSION"),
        ({"BASE_URL": "graph.facebook.com"}, "BASE_URL is 'graph.facebook.com'; it must be like"),
        ({"BASE_URL": "http://graph.facebook.com"}, "plain http is for loopback only"),
        ({"BASE_URL": "http://127.0.0.1.example"}, "plain http is for loopback only"),
        ({"BASE_URL": "https://user:word@graph.facebook.com"}, "BASE_URL"),
        ({"BASE_URL": "https://graph.facebook.com/?x=1"}, "BASE_URL"),
        ({"BASE_URL": "https://graph.facebook.com/a b"}, "BASE_URL"),
        ({"BASE_URL": "https://graph.facebook.com:port"}, "BASE_URL"),
        ({"BASE_URL": "ftp://localhost"}, "BASE_URL"),
        ({"LISTEN": "9095"}, "LISTEN is '9095'; it must be host:port"),
        ({"LISTEN": ":9095"}, "LISTEN"),
        ({"LISTEN": "127.0.0.1:65536"}, "LISTEN"),
        ({"TLS_CERT": "/c"}, "TLS_CERT and WAROUTER_CLOUD_TLS_KEY go together"),
        ({"MTLS_CA": "/ca"}, "MTLS_CA needs WAROUTER_CLOUD_TLS_CERT"),
        ({"MTLS_NAME": "meta"}, "MTLS_NAME needs WAROUTER_CLOUD_MTLS_CA"),
        ({"IN_DOUBT": "drop"}, "IN_DOUBT is 'drop'; it must be one of resend, fail, hold"),
        ({"ORDER": "read"}, "ORDER"),
        ({"BSUID": "no"}, "BSUID"),
        ({"RATE": "fast"}, "RATE is 'fast'; it must be auto or"),
        ({"RATE": "0"}, "RATE"),
        ({"RATE": "nan"}, "RATE"),
        ({"RATE": "inf"}, "RATE"),
        ({"DOUBT_SECONDS": "0"}, "DOUBT_SECONDS must be a number >= 0.1"),
        ({"DOUBT_SECONDS": "nan"}, "DOUBT_SECONDS"),
        ({"LATE_SUCCESS": "maybe"}, "LATE_SUCCESS"),
    ],
)
def test_bad_settings_are_named(changes: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        read(**changes)


def test_nothing_of_the_cloud_is_asked_for_with_the_simulator() -> None:
    assert load({"WAROUTER_CLOUD_IN_DOUBT": "perhaps"}).upstream == "simulator"


@pytest.mark.parametrize(
    ("version", "day", "sentence"),
    [
        ("v25.0", date(2028, 4, 29), ""),
        ("v25.0", date(2028, 4, 30), "which Meta ends on 2028-07-29"),
        ("v25.0", date(2028, 7, 29), "which Meta has ended"),
        ("v21.0", DAY, "which Meta ends on 2027-01-21"),
        ("v13.0", DAY, "which Meta has ended"),
        ("v26.0", date(2030, 1, 1), ""),
        ("v27.0", date(2030, 1, 1), ""),
        ("v28.0", DAY, "which this build does not know"),
        ("v25.1", DAY, "which this build does not know"),
    ],
)
def test_the_end_of_a_version_is_announced(version: str, day: date, sentence: str) -> None:
    warnings = read(VERSION=version).warnings(day)
    assert [sentence in warning for warning in warnings] == ([True] if sentence else [])


def test_the_messaging_account_is_an_id_or_nothing() -> None:
    assert number().messaging_account_id == ""
    assert number(MESSAGING_ACCOUNT_ID="123").messaging_account_id == "123"
    with pytest.raises(ConfigError, match="WAROUTER_CLOUD_MESSAGING_ACCOUNT_ID is 'x'"):
        read(MESSAGING_ACCOUNT_ID="x")


def test_windows_that_end_before_a_former_owners_requests_are_taken_with_a_warning() -> None:
    assert read(DOUBT_SECONDS="55").warnings(DAY) == []
    (sentence,) = read(DOUBT_SECONDS="54").warnings(DAY)
    assert sentence == (
        "WAROUTER_CLOUD_DOUBT_SECONDS is 54, so the shortest window takes 31.5 s, but Meta can"
        " still take what a former owner sent for 31.5 s: messages may be sent twice or in another"
        " order."
    )


def test_a_longer_lease_asks_for_longer_windows() -> None:
    given = {f"{PREFIX}{name}": value for name, value in NEEDED.items()}
    cloud = load({**given, "WAROUTER_LEASE": "6"}).cloud
    assert cloud.fence == 36.0
    assert len(cloud.warnings(DAY)) == 1


def test_a_listener_for_everybody_without_tls_is_taken_with_a_warning() -> None:
    (sentence,) = read(LISTEN="0.0.0.0:9095").warnings(DAY)
    assert "only a proxy that terminates TLS may reach it" in sentence
    assert read(LISTEN="0.0.0.0:9095", TLS_CERT="/c", TLS_KEY="/k").warnings(DAY) == []
