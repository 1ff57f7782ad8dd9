"""Whether an ONNX graph says the same as the checkpoint it came from; each way to disagree has its own error."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from transformers import PreTrainedModel

from tofner.errors import TofnerError
from tofner.logs import ticking
from tofner.model.layout import ANSWER, MARKS
from tofner.onnx.export import LOGITS, input_names
from tofner.training.batches import pad
from tofner.words.features import TagWindow


class ParityError(TofnerError):
    """The exported graph disagrees with the checkpoint; nothing may be published."""


class NamesDiffer(ParityError):
    """Inputs or outputs of the graph have other names."""


class AxesFixed(ParityError):
    """An axis that must be free is a number."""


class ShapesDiffer(ParityError):
    """Logits of another shape."""


class ValuesDiffer(ParityError):
    """Logits that differ by more than the tolerance."""


class TagsDiffer(ParityError):
    """Another best label on a word of real text."""


def check_parity(
    model: PreTrainedModel, path: Path, windows: Sequence[TagWindow], tolerance: float, batch_size: int = 16
) -> dict[str, float]:
    """Compare on three synthetic batch shapes, one of them padded, and on windows of real text in padded batches.

    On real text only first pieces are asked for, with marks, where the graph knows them (`tofner.onnx.marks`).

    Returns:
        `max_difference` of two logits anywhere, and how many `words` of real text were compared.

    Raises:
        ParityError: one of its kinds, with the shape and the size of the difference.
    """
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = input_names(model)
    found = [value.name for value in session.get_inputs()]
    if sorted(found) != sorted(names) or [value.name for value in session.get_outputs()] != [LOGITS]:
        raise NamesDiffer(
            f"{path.name}: inputs {found}, outputs {[o.name for o in session.get_outputs()]}; "
            f"expected {names} and {LOGITS}"
        )
    for value in [*session.get_inputs(), *session.get_outputs()]:
        if any(isinstance(axis, int) for axis in value.shape[:2]):
            raise AxesFixed(f"{path.name}: {value.name} has shape {value.shape}; batch and length must be free")
    worst = 0.0
    rng = np.random.default_rng(0)
    for batch, length, padded in ((1, 5, 0), (3, 17, 0), (4, 33, 12)):
        ids = rng.integers(1, model.config.vocab_size, (batch, length))
        mask = np.ones_like(ids)
        mask[1:, length - padded :] = 0
        worst = max(worst, _compare(model, session, names, {"input_ids": ids, "attention_mask": mask}, tolerance)[0])
    words = 0
    starts = range(0, len(windows), batch_size)
    for start in ticking(starts, "export: logits compared, batches", len(starts)):
        part = windows[start : start + batch_size]
        inputs = {name: tensor.numpy() for name, tensor in pad([{"input_ids": w.ids} for w in part], {}).items()}
        marks = np.zeros(inputs["input_ids"].shape, bool)
        for row, window in enumerate(part):
            marks[row, window.first] = True
        difference, ours, theirs = _compare(model, session, names, inputs, tolerance, marks)
        worst = max(worst, difference)
        for row, window in enumerate(part):
            best = ours[row, window.first].argmax(-1), theirs[row, window.first].argmax(-1)
            wrong = int((best[0] != best[1]).sum())
            if wrong:
                raise TagsDiffer(
                    f"{path.name}: {wrong} of {best[0].size} words of sentence {window.sentence} get another label"
                )
            words += best[0].size
    return {"max_difference": worst, "words": float(words)}


def _compare(
    model: PreTrainedModel,
    session: onnxruntime.InferenceSession,
    names: list[str],
    inputs: dict[str, np.ndarray],
    tolerance: float,
    marks: np.ndarray | None = None,
) -> tuple[float, np.ndarray, np.ndarray]:
    """Largest difference on unpadded (or marked) pieces, and both logits."""
    given = {"token_type_ids": np.zeros_like(inputs["input_ids"]), **inputs}
    given = {name: np.asarray(given[name], np.int64) for name in names}
    with torch.inference_mode():
        ours = model(**{name: torch.from_numpy(array) for name, array in given.items()}).logits.numpy()
    real = given["attention_mask"] == 1
    if marks is not None:
        real = marks
        if MARKS in session.get_modelmeta().custom_metadata_map:
            given["attention_mask"] = np.where(marks, ANSWER, given["attention_mask"])
    theirs = session.run([LOGITS], given)[0]
    if ours.shape != theirs.shape:
        raise ShapesDiffer(
            f"logits {theirs.shape} for inputs {given['input_ids'].shape}; the checkpoint gives {ours.shape}"
        )
    difference = float(np.abs(ours - theirs)[real].max())
    if not difference <= tolerance:  # NaN fails too
        raise ValuesDiffer(
            f"logits differ by {difference:.2g} at inputs of shape {real.shape}; allowed {tolerance:.2g}"
        )
    return difference, ours, theirs
