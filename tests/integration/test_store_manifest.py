"""The object store of k8s/overlays/seaweedfs: its arguments, run by the real program, ask for the keys."""

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.kustomize import pods
from tofner.storage.server import find_weed

pytestmark = pytest.mark.integration


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    """`weed` with the arguments of the StatefulSet, on other ports and another folder; its address."""
    (container,) = pods("overlays/seaweedfs")["StatefulSet/tofner-store"]["spec"]["containers"]
    assert container["command"] == ["weed", "mini"]
    parts = ["s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc"]
    parts += ["filer.port", "filer.port.grpc", "admin.port", "admin.port.grpc"]
    ports = {part: free_port() for part in parts}
    moved = [f"-{part}={port}" for part, port in ports.items()]
    command = [find_weed(), "mini", *container["args"], f"-dir={tmp_path}", "-ip.bind=127.0.0.1", *moved]
    environment = {item["name"]: item.get("value", "") for item in container["env"]}
    environment |= {"AWS_ACCESS_KEY_ID": "chosen", "AWS_SECRET_ACCESS_KEY": "by-whoever-tries", "HOME": str(tmp_path)}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{ports['s3.port']}"
    finally:
        process.kill()
        process.wait()


def client(endpoint: str, key: str, secret: str) -> Any:
    keys = {"aws_access_key_id": key, "aws_secret_access_key": secret}
    config = Config(retries={"total_max_attempts": 1}, proxies={}, **({} if key else {"signature_version": UNSIGNED}))
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=config, **(keys if key else {}))


def test_the_store_has_the_bucket_and_asks_for_the_keys(store: str) -> None:
    mine = client(store, "chosen", "by-whoever-tries")
    for _ in range(200):  # it is up in a second
        try:
            mine.put_object(Bucket="tofner", Key="a", Body=b"here")
            break
        except (BotoCoreError, ClientError):
            time.sleep(0.1)
    assert mine.get_object(Bucket="tofner", Key="a")["Body"].read() == b"here"
    for key, secret in (("chosen", "guessed"), ("", "")):
        with pytest.raises(ClientError, match=r"SignatureDoesNotMatch|AccessDenied"):
            client(store, key, secret).get_object(Bucket="tofner", Key="a")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        mine.put_object(Bucket="mistyped", Key="a", Body=b"")
