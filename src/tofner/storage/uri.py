"""Addresses: `s3://BUCKET/KEY`, or a local path."""

from pathlib import Path

from tofner.errors import BadInput, Problem


def is_s3(uri: str) -> bool:
    """Whether `uri` names something in S3; anything else is a local path.

    Raises:
        BadInput: another scheme (`gs://`) or a slash too few, which would otherwise become an odd local folder.
    """
    if str(uri).startswith("s3:") and not str(uri).startswith("s3://"):
        raise BadInput(Problem(str(uri), "s3: without two slashes", "s3://BUCKET/KEY", "change the URI"))
    scheme, mark, _ = str(uri).partition("://")
    if mark and scheme != "s3" and scheme.isalnum():
        raise BadInput(Problem(str(uri), f"the scheme {scheme!r}", "s3://BUCKET/KEY or a local path", "change the URI"))
    return bool(mark) and scheme == "s3"


def is_place(uri: str) -> bool:
    """Whether `uri` is an address: in S3, or of a local file or folder that is there; not the name of a model in a hub.

    Raises as `is_s3`.
    """
    return is_s3(uri) or Path(uri).exists()


def join(uri: str, *parts: str) -> str:
    """The URI of something inside the folder `uri`.

    >>> join("s3://bucket/models/", "es", "v1"), join("/work/data", "ner/x.conll")
    ('s3://bucket/models/es/v1', '/work/data/ner/x.conll')
    """
    if not is_s3(uri):
        return str(Path(uri, *parts))
    return "/".join([uri.rstrip("/"), *(part.strip("/") for part in parts if part.strip("/"))])


def split_uri(uri: str) -> tuple[str, str]:
    """`"s3://bucket/a/b/"` -> `("bucket", "a/b")`.

    Raises:
        BadInput: it has no bucket, or its key has an empty, `.` or `..` part.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    key = key.rstrip("/")
    if not bucket or (key and any(part in ("", ".", "..") for part in key.split("/"))):
        raise BadInput(Problem(uri, "no bucket, or an empty, '.' or '..' part", "s3://BUCKET/KEY"))
    return bucket, key


def split_object(uri: str) -> tuple[str, str]:
    """As `split_uri`, for the URI of an object, which needs a key."""
    bucket, key = split_uri(uri)
    if not key:
        raise BadInput(Problem(uri, "a bucket without a key", "s3://BUCKET/KEY"))
    return bucket, key


def absolute(uri: str) -> str:
    """A local path as seen from everywhere; `s3://` addresses and empty strings as they are."""
    return uri if not uri or is_s3(uri) else str(Path(uri).expanduser().resolve())
