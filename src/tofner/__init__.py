"""Named-entity taggers for domains and languages without labelled data, by Target-Oriented Fine-tuning (TOF).

import tofner
tagger = tofner.load("s3://bucket/models/es")          # or a local folder
tagger("Angela Merkel met Obama.").entities
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tofner.model.layout import Precision
    from tofner.tagging import Tagger

__all__ = ["load"]

# ONNX Runtime 1.29 and later report on their use to their maker unless told not to; who wants that sets it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def load(
    uri: "str | Path",
    precision: "Precision" = "fp32",
    threads: int | None = None,
    cache: "str | Path | None" = None,
) -> "Tagger":
    """A tagger from a published model; call it with a text, a list of texts or an iterator of texts.

    Args:
        uri: a version folder, or a model's root for its latest version; local or `s3://`.
        precision: `fp32` or `int8`, which graph.
        threads: CPU cores to use; default: as many as this process may.
        cache: folder for fetched models; default `$TOFNER_CACHE`, else `~/.cache/tofner`.

    Raises:
        BadModel: the folder is not a published model.
        PassingFault: storage could not be reached.
    """
    from tofner.tagging import Tagger  # here, so that `import tofner` brings neither ONNX Runtime nor torch

    return Tagger.load(uri, precision, threads, cache)
