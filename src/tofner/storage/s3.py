"""The S3 client of the process, and the one rule by which its calls are tried again.

boto3's own retries are off: `call` decides what is tried again, `tofner.patience` how often. boto3 is imported at the
first S3 call, since importing it costs more than tagging a small local file.

Environment:
    S3_ENDPOINT_URL             the server, for anything but AWS; AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL count too
    AWS_ACCESS_KEY_ID, …        the usual AWS credential chain (variables, profile files, web identity, instance role)
    TOFNER_STORAGE_PATIENCE_S   seconds that one call is tried again while faults may pass (default 60)
    TOFNER_STORAGE_THREADS      parallel requests of one transfer (default 8)
"""

import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from tofner.errors import BadInput, PassingFault, Problem
from tofner.patience import Clock, number, persist
from tofner.storage.faults import classify, endpoint, error_code, is_doubtful, redacted

T = TypeVar("T")

PATIENCE = "TOFNER_STORAGE_PATIENCE_S"
DOUBTS = 3  # how often an answer that may be an accident is asked for again
CLOCK = Clock()  # of every call that is given none

_lock = threading.Lock()
_clients: dict[tuple[str | int | None, ...], Any] = {}


def patience_s() -> float:
    """Seconds that one call is tried again, from TOFNER_STORAGE_PATIENCE_S.

    Raises:
        BadInput: the variable is not a number of at least 0.
    """
    return number(PATIENCE, 60.0, 0.0)


def threads() -> int:
    """Parallel requests of one transfer, from TOFNER_STORAGE_THREADS.

    Raises:
        BadInput: the variable is not a number of at least 1.
    """
    return int(number("TOFNER_STORAGE_THREADS", 8, 1))


def client() -> Any:
    """The boto3 S3 client of this process and environment. Thread-safe; made anew after a fork.

    Raises:
        BadInput: the endpoint, profile or patience in the environment is unusable.
    """
    url, patience = endpoint(), patience_s()
    seen = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION")
    also = ("AWS_DEFAULT_REGION", "AWS_CA_BUNDLE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    key = (os.getpid(), url, str(patience), threads(), *(os.environ.get(name) for name in seen + also))
    with _lock:
        if key not in _clients:
            _clients[key] = _new_client(url, patience)
        return _clients[key]


def _new_client(url: str | None, patience: float) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        signature_version="s3v4",
        retries={"total_max_attempts": 1, "mode": "standard"},
        # A part of the patience, so that a connection that hangs leaves time for another.
        connect_timeout=min(10.0, max(1.0, patience / 6)),
        read_timeout=min(20.0, max(2.0, patience / 3)),
        max_pool_connections=2 * threads() + 4,
        s3={"addressing_style": "path" if url else "auto"},  # SeaweedFS and MinIO have no host name a bucket
    )
    try:
        session = boto3.session.Session(region_name=os.environ.get("AWS_REGION"))
        region = session.region_name or "us-east-1"
        return session.client("s3", endpoint_url=url, region_name=region, config=config)
    except ValueError as error:  # botocore: "Invalid endpoint"
        problem = Problem(
            redacted(url or "S3"), redacted(str(error)), "an http or https endpoint", "correct S3_ENDPOINT_URL"
        )
        raise BadInput(problem) from error


def is_refused(error: BaseException) -> bool:
    """Whether the error says that a conditional put met another state than it asked for."""
    return error_code(error) in ("PreconditionFailed", "412")


def call(
    uri: str,
    action: Callable[[], T],
    meant: Callable[[BaseException], bool] = lambda _: False,
    clock: Clock | None = None,
) -> T:
    """`action()`, tried again with exponential backoff and jitter while its faults may pass.

    Errors for which `meant` holds are part of the caller's protocol and come out as they are. Without `clock`, it is
    `CLOCK`.

    Raises:
        BadInput: credentials, bucket, key, permission or endpoint are wrong; at once.
        PassingFault: the fault did not pass within the patience.
    """

    doubts = 0

    def doubted(error: Exception, fault: BadInput | PassingFault | None) -> BadInput | PassingFault | None:
        nonlocal doubts
        if isinstance(fault, BadInput) and is_doubtful(error, fault) and doubts < DOUBTS and patience_s() > 0:
            doubts += 1
            return PassingFault(str(fault))
        return fault

    def judge(error: Exception) -> Exception | None:
        return None if meant(error) else doubted(error, classify(error, uri))

    return persist(action, judge, patience_s(), PATIENCE, clock or CLOCK)
