"""An S3-compatible server in a process of its own: moto's, which checks signatures and permissions.

It keeps objects in memory. Scality's cloudserver would be a production server, but its npm package needs
sources from GitHub. Where rights are checked, moto answers requests with a signed URL, and anonymous
listings, with status 500; the rest that is tested here is as S3 documents it: signatures in headers,
conditions, ranges, uploads in parts, listings in pages of 1,000.
"""

import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, cast

import pytest

__all__ = ["BUCKET", "MANY", "MANY_KEYS", "Bucket", "S3Server", "s3_server"]

BUCKET = "bundles"
MANY = "many"
"""A bucket of `MANY_KEYS` objects, made in the server itself: by requests it takes a minute."""
MANY_KEYS = 2_500

_SERVER = f"""
import sys
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import main

backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
backend.create_bucket("{MANY}", "us-east-1")
for number in range({MANY_KEYS}):
    backend.put_object("{MANY}", f"folder/{{number:05}}.zip", b"content")
main(sys.argv[1:])
"""


@dataclass(frozen=True)
class S3Server:
    """A server that runs, with one bucket, and one user who may do everything there."""

    url: str
    key_id: str
    secret: str

    def client(self) -> Any:
        """Return boto3's client: another implementation than the one under test."""
        return _client("s3", self.url, self.key_id, self.secret)

    def empty(self) -> Any:
        """Remove all objects from the bucket, and return a client."""
        client = self.client()
        for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            client.delete_object(Bucket=BUCKET, Key=found["Key"])
        return client

    def environment(self, *, endpoint: str | None = None) -> dict[str, str]:
        """Return the variables by which clients find the server, or a proxy before it."""
        return {
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": endpoint or self.url,
        }


@dataclass(frozen=True)
class Bucket:
    """The bucket, asked by boto3's client."""

    client: Any
    url: str = f"s3://{BUCKET}"

    def write(self, key: str, content: bytes) -> str:
        """Store an object, and return its URL."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)
        return f"{self.url}/{key}"

    def read(self, key: str) -> bytes | None:
        """Return an object; None where there is none."""
        try:
            content: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        except self.client.exceptions.NoSuchKey:
            return None
        return content

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys that begin with a prefix."""
        found = self.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return [each["Key"] for each in found]

    def uploads(self) -> list[str]:
        """Return the keys of uploads whose parts lie in the bucket, neither completed nor aborted."""
        found = self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return [each["Key"] for each in found]


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Start a server, and stop it at the end; skip the test where moto is not installed."""
    pytest.importorskip("moto.server", reason="no moto[server]: no S3-compatible server to test against")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    # What makes the user and the rights comes before rights are checked.
    environment |= {"INITIAL_NO_AUTH_ACTION_COUNT": "3", "MOTO_IAM_LOAD_MANAGED_POLICIES": "false"}
    command = [sys.executable, "-c", _SERVER, "-H", "127.0.0.1", "-p", "0"]
    with (
        subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
        ) as process,
        ThreadPoolExecutor(1) as reader,
    ):
        try:
            log = cast("IO[str]", process.stderr)
            url = _announced(log)
            reader.submit(deque, log, 0)  # a full pipe would stop the server
            iam = _client("iam", url, "any", "any")
            iam.create_user(UserName="tester")
            key = iam.create_access_key(UserName="tester")["AccessKey"]
            iam.put_user_policy(
                UserName="tester",
                PolicyName="everything",
                PolicyDocument='{"Version": "2012-10-17", "Statement": '
                '[{"Effect": "Allow", "Action": "*", "Resource": "*"}]}',
            )
            server = S3Server(url, key["AccessKeyId"], key["SecretAccessKey"])
            server.client().create_bucket(Bucket=BUCKET)
            yield server
        finally:
            process.kill()


def _announced(log: Iterable[str]) -> str:
    """Return the address that the server says it listens on."""
    for line in log:
        if match := re.search(r"Running on (http://127\.0\.0\.1:\d+)", line):
            return match[1]
    pytest.fail("moto's server ended before it listened")


def _client(service: str, url: str, key_id: str, secret: str) -> Any:
    boto3 = pytest.importorskip("boto3")
    config = pytest.importorskip("botocore.config").Config
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
    )
