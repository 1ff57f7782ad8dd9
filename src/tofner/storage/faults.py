"""What the faults of S3 and boto3 mean: which may pass, and what the user can do about the others.

boto3 is imported inside, when there is a fault to judge.
"""

import os
import re
from typing import Any
from urllib.parse import urlsplit

from tofner.errors import BadInput, PassingFault, Problem


class NoSuchObject(BadInput):
    """There is no such object or file, though its bucket is there."""


class Doubtful(BadInput):
    """What an answer says, and may be an accident on its way here: it is believed when it is said again."""


# Error codes that a later try may not meet again, beside every 5xx and 429.
PASSING_CODES = frozenset(
    (
        "BadDigest",  # damaged on the way, as are the last two
        "BandwidthLimitExceeded",
        "ClientDisconnected",
        "ConditionalRequestConflict",
        "IncompleteBody",
        "InternalError",
        "OperationAborted",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    )
)

# Credentials that ran out: a pod that is started again, or the next call, gets new ones.
_EXPIRED = frozenset(("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"))

_CREDENTIALS = (
    "credentials that {where} refuses ({said})",
    "valid credentials",
    "correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or the profile, role or token in use)",
)
_DENIED = (
    "access denied by {where} ({said})",
    "permission for this object",
    "give these credentials access to bucket {bucket!r}, or use others",
)
_REGION = ("a bucket in another region ({said})", "the bucket's region", "set AWS_REGION to it")
_CHANGED = ("an object that changed while it was read", "an object at rest", "run again when nothing writes to it")
_MISSING = ("no such object at {where}", "an existing object", "correct the URI")
_REFUSED = ("a request that {where} refuses ({said})", "an accepted request", "correct the URI or the AWS settings")

FIX_ENDPOINT = "correct S3_ENDPOINT_URL, or look at proxies between here and there"

# code: what was found, what was expected, what to do
LASTING_CODES = {
    "AuthFailure": _CREDENTIALS,
    "InvalidAccessKeyId": _CREDENTIALS,
    "InvalidClientTokenId": _CREDENTIALS,
    "InvalidSecurity": _CREDENTIALS,
    "InvalidToken": _CREDENTIALS,
    "NotSignedUp": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "UnrecognizedClientException": _CREDENTIALS,
    "AccessDenied": _DENIED,
    "AccountProblem": _DENIED,
    "AllAccessDisabled": _DENIED,
    "NoSuchBucket": (
        "no bucket {bucket!r} at {where}",
        "an existing bucket",
        "create the bucket, or correct the URI or S3_ENDPOINT_URL",
    ),
    "NoSuchKey": _MISSING,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "PermanentRedirect": _REGION,
    "PreconditionFailed": _CHANGED,
    "InvalidRange": _CHANGED,  # shorter than it was listed or indexed
    "RequestTimeTooSkewed": ("a wrong clock ({said})", "the time of {where}", "set this machine's clock"),
    "NotImplemented": (
        "a request that {where} does not know ({said})",
        "a server with conditional puts and checksums",
        "use AWS, SeaweedFS or MinIO of a recent version",
    ),
}


def endpoint() -> str | None:
    """The S3 server that the environment names; None leaves the choice to boto3 (a profile's setting, or AWS).

    Raises:
        BadInput: it is not an http or https address.
    """
    for name in ("S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        url = os.environ.get(name)
        if url:
            try:
                parts = urlsplit(url)
                good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            except ValueError:  # a port that is no number
                good = False
            if not good:
                fix = f"set {name} to the address of the S3 server"
                raise BadInput(Problem(name, redacted(repr(url)), "http://HOST[:PORT] or https://HOST[:PORT]", fix))
            return url
    return None


def error_code(error: BaseException) -> str:
    """The S3 error code of a botocore ClientError (`"NoSuchKey"`), else `""`."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def is_doubtful(error: BaseException, fault: object) -> bool:
    """Whether an answer that should be final is sometimes an accident: a body that was cut or changed on its way, or a
    condition that an earlier try of the same call met. `fault` is what `classify` makes of the error."""
    return isinstance(fault, Doubtful) or error_code(error) in ("PreconditionFailed", "InvalidRange")


def redacted(text: str) -> str:
    """Without user names and passwords in addresses.

    >>> redacted("no answer of http:" + "//user:pass@host:8333/x")
    'no answer of http://***@host:8333/x'
    """
    return _USER.sub("//***@", text)


_USER = re.compile(r"""//[^\s"']*@""")


def classify(error: BaseException, uri: str) -> BadInput | PassingFault | None:
    """What a fault at `uri` means for the user; None if it is none that storage knows, so a bug."""
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    where = redacted(endpoint() or "AWS S3")
    said = f"{type(error).__name__}: {_one_line(error)}"
    broken = (
        boto.HTTPClientError,  # refused, reset, timed out, closed, proxy trouble
        boto.ConnectionError,
        boto.IncompleteReadError,
        boto.ResponseStreamingError,
        boto.FlexibleChecksumError,
        boto.MetadataRetrievalError,
        HTTPError,  # urllib3's, while a body is read
        ConnectionError,
        TimeoutError,
    )
    fault: BadInput | PassingFault | None = None
    if isinstance(error, (BadInput, PassingFault)):
        fault = error
    elif isinstance(error, boto.ClientError):
        fault = _classify_answer(error, uri, where)
    elif isinstance(error, (boto.NoCredentialsError, boto.PartialCredentialsError)):
        fix = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the pod a role"
        fault = BadInput(Problem(uri, f"no usable credentials ({said})", f"credentials for {where}", fix))
    elif isinstance(error, boto.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        fix = "set AWS_CA_BUNDLE to the authority's certificate, or correct S3_ENDPOINT_URL"
        fault = BadInput(Problem(uri, f"an unknown certificate at {where}", "a certificate that can be verified", fix))
    elif isinstance(error, ResponseParserError):
        fault = not_s3(uri, said)
    elif isinstance(error, RecursionError):
        fault = not_s3(uri, "redirects without a region, which botocore follows for ever")
    elif isinstance(error, broken):
        fault = PassingFault(f"{uri}: {where} cannot be used now ({said})")
    elif isinstance(error, boto.BotoCoreError):
        # What is left is made of profiles, tokens, regions and parameters: all the user's to correct.
        fault = BadInput(Problem(uri, said, "usable AWS settings", "correct the AWS settings or the URI"))
    return fault


def _classify_answer(error: Any, uri: str, where: str) -> BadInput | PassingFault:
    """What an error answer of the server means; `error` is a botocore ClientError."""
    code = error_code(error)
    if code in _EXPIRED:
        fix = "if it stays so, renew AWS_SESSION_TOKEN and its keys, or the profile or role in use"
        return PassingFault(f"{uri}: {where} says that the credentials have expired ({code}); {fix}")
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = f"{code or 'HTTP'} {status}: {_one_line(error.response.get('Error', {}).get('Message', ''))}"
    if code in PASSING_CODES or status == 429 or (status >= 500 and code not in LASTING_CODES):
        return PassingFault(f"{uri}: {where} answered {said}")
    if not code or code.isdigit():  # botocore's stand-in where the body is no error document of S3
        return not_s3(uri, f"HTTP {status} without an S3 error code")
    bucket = uri.removeprefix("s3://").partition("/")[0]
    texts = LASTING_CODES.get(code, _REFUSED)
    found, expected, fix = (text.format(where=where, said=said, bucket=bucket) for text in texts)
    kind = NoSuchObject if texts is _MISSING else BadInput
    return kind(Problem(uri, found, expected, fix))


def not_s3(uri: str, found: str) -> Doubtful:
    """The error for an answer that no S3 server gives."""
    where = redacted(endpoint() or "AWS S3")
    return Doubtful(Problem(uri, f"an answer of {where} that is not S3's ({found})", "an S3 server", FIX_ENDPOINT))


def _one_line(text: object) -> str:
    return redacted(" ".join(str(text).split()))
