"""What instance.py and set_shards.py sign, beside what AWS' own library signs."""

from __future__ import annotations

import importlib.util
import time
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.deploy.imds import REGION
from tests.deploy.template import FOLDER

KEY, SECRET, TOKEN = "ASIA0123456789ABCDEF", "a/secret+of=AWS", "of/the+session=="
BODY = b'{"SecretId": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:x"}'
HEADERS = {
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": "secretsmanager.GetSecretValue",
}
NOW = 1_790_000_000


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def expected(monkeypatch: pytest.MonkeyPatch) -> str:
    """The header Authorization of botocore, at NOW."""
    import botocore.auth

    stamp = datetime.fromtimestamp(NOW, UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: stamp, raising=False)
    url = f"https://secretsmanager.{REGION}.amazonaws.com/"
    request: Any = AWSRequest("POST", url, headers=HEADERS, data=BODY)
    SigV4Auth(Credentials(KEY, SECRET, TOKEN), "secretsmanager", REGION).add_auth(request)
    assert request.headers["X-Amz-Date"] == time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(NOW))
    return str(request.headers["Authorization"])


def test_an_instance_signs_as_botocore_does(expected):
    credentials = {"AccessKeyId": KEY, "SecretAccessKey": SECRET, "Token": TOKEN}
    request = _load("instance").signed("secretsmanager", REGION, credentials, HEADERS, BODY, NOW)
    assert request.get_header("Authorization") == expected


def test_the_function_signs_as_botocore_does(expected):
    environment = {
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": TOKEN,
    }
    request = _load("set_shards").signed(BODY, environment, NOW)
    assert request.get_header("Authorization") == expected
