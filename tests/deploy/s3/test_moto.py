"""Media in a bucket of moto, another reading of S3 than the tests' own, with boto3 as witness."""

from __future__ import annotations

import asyncio
import hashlib
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import boto3
import pytest
import pytest_asyncio

from tests.cluster.conftest import ONE, running
from warouter.config import load
from warouter.errors import ConfigError, MediaAway
from warouter.media.choice import storage_of
from warouter.media.directory import MediaDirectory
from warouter.media.storage import Storage

BUCKET, PREFIX, REGION = "media-of-tests", "wa", "eu-central-1"
KEY = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 300
LARGE = bytes(range(256)) * 4096 * 20
TO = "491700000001"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A moto_server on a port that it chose."""
    program = Path(sys.executable).parent / "moto_server"
    with subprocess.Popen(
        [program, "-H", "127.0.0.1", "-p", "0"], stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        try:
            for line in server.stderr:
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    yield found[0]
                    break
            else:
                pytest.fail("moto_server did not say where it listens")
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def witness(endpoint: str) -> Any:
    """boto3, by which the bucket is made and looked at."""
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name=REGION, **KEY)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return s3


def environment(endpoint: str, bucket: str = BUCKET) -> dict[str, str]:
    return {
        "WAROUTER_MEDIA_URL": f"s3://{bucket}/{PREFIX}",
        "WAROUTER_MEDIA_S3_ENDPOINT": endpoint,
        "WAROUTER_MEDIA_S3_REGION": REGION,
        "WAROUTER_MEDIA_S3_KEY_ID": "test",
        "WAROUTER_MEDIA_S3_SECRET_KEY": "test",
    }


@pytest_asyncio.fixture
async def bucket(endpoint: str, witness: Any) -> AsyncIterator[Storage]:
    bucket = storage_of(load(environment(endpoint)))
    yield bucket
    await bucket.close()


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    for begin in range(0, len(content), 100_000):
        yield content[begin : begin + 100_000]


async def read(storage: Storage, media_id: UUID, content: bytes) -> bytes:
    found = storage.content(media_id, len(content), hashlib.sha256(content).digest())
    return b"".join([chunk async for chunk in found])


async def kept(storage: Storage, content: bytes) -> UUID:
    media_id = uuid4()
    staged = await storage.stage(chunks(content), len(content))
    await staged.keep(media_id)
    await staged.drop()
    return media_id


async def test_boto3_finds_the_stored_media(bucket: Storage, witness: Any) -> None:
    await bucket.check()
    media_id = await kept(bucket, LARGE)
    found = witness.get_object(Bucket=BUCKET, Key=f"{PREFIX}/shared/{media_id}")
    assert found["Body"].read() == LARGE
    assert not witness.list_multipart_uploads(Bucket=BUCKET).get("Uploads")
    assert await read(bucket, media_id, LARGE) == LARGE
    staged = await bucket.stage(chunks(JPEG), len(JPEG))
    with pytest.raises(MediaAway, match="412"):
        await staged.keep(media_id)
    await staged.drop()
    assert [batch async for batch in bucket.names(-60, 100)] == [[media_id]]
    await bucket.remove(media_id)
    await bucket.remove(media_id)  # again is no error
    assert "Contents" not in witness.list_objects_v2(Bucket=BUCKET)
    with pytest.raises(FileNotFoundError):
        await read(bucket, media_id, LARGE)


async def test_a_directory_is_copied_into_a_bucket(
    bucket: Storage, witness: Any, tmp_path: Path
) -> None:
    """The documented move: the same names below the same folder."""
    directory = MediaDirectory(tmp_path)
    ids = [await kept(directory, JPEG + bytes([n])) for n in range(5)]
    for path in (tmp_path / "shared").iterdir():
        witness.upload_file(str(path), BUCKET, f"{PREFIX}/shared/{path.name}")
    for n, media_id in enumerate(ids):
        content = JPEG + bytes([n])
        assert await read(bucket, media_id, content) == content
        await bucket.remove(media_id)
    await directory.close()


async def test_a_bucket_that_is_not_there(endpoint: str) -> None:
    bucket = storage_of(load(environment(endpoint, "not-there")))
    with pytest.raises(ConfigError, match="there is no such bucket"):
        await bucket.check()
    await bucket.close()


async def test_a_cluster_sends_and_receives_media(endpoint: str, witness: Any) -> None:
    async with running(**ONE, environment=environment(endpoint)) as (cluster, business):
        headers = {**business.headers, "Content-Type": "image/jpeg"}
        answer = await business.call("POST", "/v1/media", data=JPEG, headers=headers)
        media = answer["media"][0]["id"]
        sent = await business.message(TO, image={"id": media})
        await business.called_back("read", sent)
        image = {"from": TO, "type": "image", "data": b64encode(JPEG).decode()}
        (inbound,) = await business.come(image)
        await business.until(lambda: inbound in business.receiver.messages)
        picture = business.receiver.messages[inbound]["image"]
        found = await asyncio.to_thread(witness.list_objects_v2, Bucket=BUCKET)
        names = {item["Key"] for item in found["Contents"]}
        assert names == {f"{PREFIX}/shared/{name}" for name in (media, picture["id"])}
        url = f"{cluster.url}/v1/media/{picture['id']}"
        async with business.http.get(url, headers=business.headers) as response:
            assert await response.read() == JPEG
