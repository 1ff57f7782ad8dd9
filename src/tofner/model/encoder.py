"""What makes a folder an encoder to train on: looked at as a run is planned, and again before it is loaded."""

import fnmatch
import json
import re

from tofner import storage
from tofner.errors import BadModel, Problem
from tofner.model.layout import CONFIG, TOKENIZER, WEIGHTS

FAMILIES = ("bert", "distilbert", "electra", "roberta", "xlm-roberta")  # heads and token types of these are known
TOKENIZERS = re.compile(rf"{re.escape(TOKENIZER)}|vocab\.(txt|json)|.*\.model")


def check_checkpoint(uri: str) -> None:
    """Look at a folder or `s3://` prefix by the names of its files and its config; no weights are read.

    Raises:
        BadModel: files are missing, weights are pickled, or the family is not one that was tried.
        PassingFault: the bucket does not answer.
    """
    files = [info.path for info in storage.list_files(uri)]
    if CONFIG not in files:
        raise BadModel(Problem(uri, f"no {CONFIG}", "a Hugging Face checkpoint folder"))
    if not fnmatch.filter(files, WEIGHTS):
        fix = "convert with model.save_pretrained(folder); pickled weights are not loaded"
        raise BadModel(Problem(uri, f"no {WEIGHTS}", "safetensors weights", fix))
    if not any(TOKENIZERS.fullmatch(name) for name in files):
        raise BadModel(Problem(uri, "no tokenizer", f"{TOKENIZER}", "save it with tokenizer.save_pretrained(folder)"))
    place = storage.join(uri, CONFIG)
    try:
        config = json.loads(storage.read_bytes(place))
    except (ValueError, RecursionError) as error:
        raise BadModel(Problem(place, str(error), "JSON of a transformers model")) from None
    family = config.get("model_type") if isinstance(config, dict) else None
    if family not in FAMILIES:
        raise BadModel(Problem(place, f"model_type {family!r}", f"one of {', '.join(FAMILIES)}"))
