"""The revision of the code that makes results: its sources and the versions of the libraries it stands on."""

import functools
import hashlib
from importlib import metadata
from pathlib import Path

LIBRARIES = ("torch", "transformers", "tokenizers", "datasets", "seqeval", "onnx", "onnxruntime", "numpy")
NOT_TRAINING = {"cli.py", "check", "storage"}  # parts that cannot change what a stage makes


@functools.cache
def library_versions() -> dict[str, str]:
    """Installed versions, without importing anything; a missing library is simply not there."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def code_revision() -> str:
    """Hash of the package's sources, uncommitted changes included, and of the library versions. 16 hex digits."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256(repr(sorted(library_versions().items())).encode())
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if path.suffix in {".py", ".yaml", ".j2"} and inside.parts[0] not in NOT_TRAINING:
            digest.update(inside.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
