"""ONNX Runtime behind one method: token ids in, logits of chosen pieces out."""

import os

import numpy as np
import onnxruntime

from tofner.errors import BadModel, PassingFault, Problem
from tofner.model.layout import ANSWER, LABELS, MARKS
from tofner.model.published import Model

# ONNX Runtime fuses Add and LayerNormalization into an operator that took six times as long on CPUs (1.32, AVX-512).
_SLOWER = ["SkipLayerNormFusion"]
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class Runner:
    """One session over a model's graph. `run` may be called from many threads at once."""

    def __init__(self, model: Model, threads: int = 1) -> None:
        """
        Args:
            threads: of one matrix product (intra-op). Parallelism over batches, the engine's own, has no barriers.

        Raises:
            BadModel: ONNX Runtime cannot load the graph, or its inputs and outputs are not those of a tagger.
        """
        self.model = model
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.enable_mem_pattern = False  # shapes differ from batch to batch; patterns would pile up
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the pod's CPU is not only ours
        try:
            self.session = onnxruntime.InferenceSession(
                str(model.onnx),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=_SLOWER,
                enable_fallback=0,  # to nothing else, with five lines on stdout
            )
        except Exception as error:  # onnxruntime raises its own exception types, none of them documented
            fix = "publish the model again, or update onnxruntime"
            said = " ".join(str(error).split())
            raise BadModel(Problem(str(model.onnx), said, "a graph ONNX Runtime can load", fix)) from error
        self.knows_marks = MARKS in self.session.get_modelmeta().custom_metadata_map
        self.inputs = [value.name for value in self.session.get_inputs()]
        outputs = {value.name: value.shape for value in self.session.get_outputs()}
        unknown = [name for name in self.inputs if name not in _INPUTS]
        if "input_ids" not in self.inputs or unknown or "logits" not in outputs:
            found = f"inputs {self.inputs}, outputs {sorted(outputs)}"
            raise BadModel(Problem(str(model.onnx), found, "input_ids, attention_mask [, token_type_ids] -> logits"))
        width = outputs["logits"][-1]
        if isinstance(width, int) and width != len(model.labels):
            expected = f"{len(model.labels)}, as {LABELS} has"
            raise BadModel(Problem(str(model.onnx), f"{width} logits a piece", expected))

    def run(self, ids: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Logits [R, L], float32, of the wanted pieces, row after row.

        Args:
            ids: windows of one length, int64 [B, S], specials included.
            wanted: which pieces to answer, bool [B, S].
        """
        mask = np.ones_like(ids)
        if self.knows_marks:
            mask[wanted] = ANSWER
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        try:
            (logits,) = self.session.run(["logits"], {name: given[name] for name in self.inputs})
        except Exception as error:  # of types that onnxruntime does not document
            if "llocat" in str(error):
                raise PassingFault(f"{self.model.onnx}: not enough memory ({str(error)[:200]})") from error
            found = (
                f"a graph that cannot be run on {ids.shape[0]} windows of {ids.shape[1]} pieces ({str(error)[:300]})"
            )
            fix = "publish the model again"
            raise BadModel(Problem(str(self.model.onnx), found, "a tagger of this tokenizer", fix)) from error
        if logits.shape != (*ids.shape, len(self.model.labels)):
            found = f"logits of shape {logits.shape} for {ids.shape}"
            raise BadModel(Problem(str(self.model.onnx), found, f"{len(self.model.labels)} for each piece"))
        return np.asarray(logits[wanted], np.float32)


def quiet_tokenizers() -> None:
    """Keep `tokenizers` from starting a thread a core beside the engine's own; the user's choice goes first."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
