"""Tagging speed, in one run on one model and text: this engine, the transformers pipeline, the machine's ceiling.

    python benchmarks/tag.py --model PUBLISHED_FOLDER --data FILE.conll.gz [--sentences 1200] [--threads 2]

Each system runs in a process of its own, alone, with the same number of threads. The text is the tokens joined by
spaces; a word counts once wherever it is cut, so words/s compare. The pipeline's batch size is tuned on a part of the
text. Rounds go around all systems, and the best round of each counts: what else the machine does hits all alike.

    pipeline        transformers' token-classification pipeline on PyTorch (aggregation "first": whole words, as here)
    pipeline-ort    the same pipeline with the model's forward replaced by a session's run
    optimum         the same pipeline on optimum's wrapper of ONNX Runtime, which wants an older transformers: with
                    --optimum PYTHON, the interpreter of an environment that holds optimum-onnx
    engine-fp32     Tagger.load(..., "fp32").tag(texts); engine-int8 likewise
    ceiling         the fastest of PyTorch and ONNX Runtime at [2048, H] x [H, 4H] products: fp32, bf16, int8

The fraction of the ceiling is (multiply-adds of the weights, times two, of the pieces of the text) / seconds / ceiling.
At the end, the operators of ONNX Runtime that take the engine's time, from its own profile of one more run.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

BATCHES = (1, 8, 16, 32, 64)
SYSTEMS = ("pipeline", "pipeline-ort", "optimum", "engine-fp32", "engine-int8")


def read_texts(path: Path, limit: int) -> list[str]:
    """Sentences of a CoNLL file (first column), or lines of a text file, plain or .gz."""
    data = path.read_bytes()
    lines = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8").split("\n")
    if ".conll" not in path.name:
        return [line for line in lines if line.strip()][:limit]
    texts: list[str] = []
    words: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            words.append(line.split()[0])
        elif words:
            texts.append(" ".join(words))
            words = []
    return texts[:limit]


def make_pipeline(system: str, folder: Path, threads: int) -> Any:
    """The transformers pipeline on one of its backends."""
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

    torch.set_num_threads(threads)
    checkpoint = folder / "checkpoint"
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    if system == "optimum":
        model = _optimum(folder, threads)
    else:
        model = AutoModelForTokenClassification.from_pretrained(checkpoint, dtype=torch.float32).eval()
    if system == "pipeline-ort":
        _onto_ort(model, folder, threads)
    return pipeline(
        "token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="first", device="cpu"
    )


def _optimum(folder: Path, threads: int) -> Any:
    import onnxruntime
    from optimum.onnxruntime import ORTModelForTokenClassification

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as name:  # it wants graph and configuration side by side
        for path in (folder / "model.onnx", folder / "checkpoint" / "config.json"):
            (Path(name) / path.name).symlink_to(path.resolve())
        return ORTModelForTokenClassification.from_pretrained(name, session_options=options)


def _onto_ort(model: Any, folder: Path, threads: int) -> None:
    import onnxruntime
    import torch
    from transformers.modeling_outputs import TokenClassifierOutput

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]

    def forward(**inputs: Any) -> Any:
        # some tokenizers give no token types, and the graph of a BERT wants them all the same
        feed = {name: inputs.get(name, torch.zeros_like(inputs["input_ids"])).numpy() for name in names}
        return TokenClassifierOutput(logits=torch.from_numpy(session.run(["logits"], feed)[0]))

    model.forward = forward


def measure(system: str, folder: Path, texts: list[str], threads: int, batch: int | None) -> dict[str, Any]:
    """Seconds to tag the texts once, warmed up; for a pipeline at `batch`, or tuned on the texts."""
    if system.startswith("engine"):
        from tofner.tagging import Tagger

        tagger = Tagger.load(folder, "int8" if system.endswith("int8") else "fp32", threads)
        tagger.tag(texts[:50])
        seconds = timed(lambda: tagger.tag(texts))
        return {"seconds": seconds}
    made = make_pipeline(system, folder, threads)
    made(texts[:16], batch_size=8)
    tried: dict[str, float] = {}
    for size in [batch] if batch else BATCHES:
        tried[str(size)] = timed(lambda size=size: made(texts, batch_size=size))  # type: ignore[misc]
    best = min(tried, key=lambda size: tried[size])
    return {"seconds": tried[best], "batch": int(best), "tried": tried}


def profile(system: str, folder: Path, texts: list[str], threads: int) -> dict[str, float]:
    """Share of the operators' time that each kind of operator takes."""
    import onnxruntime

    class Profiled(onnxruntime.SessionOptions):
        def __init__(self) -> None:
            super().__init__()
            self.enable_profiling = True
            self.profile_file_prefix = str(Path(scratch) / "profile")

    from tofner.tagging import Tagger

    with tempfile.TemporaryDirectory() as scratch:
        onnxruntime.SessionOptions = Profiled
        tagger = Tagger.load(folder, "int8" if system.endswith("int8") else "fp32", threads)
        tagger.tag(texts)
        events = json.loads(Path(tagger.runner.session.end_profiling()).read_text())
    spent: Counter[str] = Counter()
    for event in events:
        if event.get("cat") != "Node" or not event["name"].endswith("kernel_time"):
            continue
        if event["args"]["op_name"] != "If":  # what is inside is counted by itself
            spent[event["args"]["op_name"]] += event["dur"]
    total = sum(spent.values())
    return {name: spent[name] / total for name, _ in spent.most_common(8)}


def timed(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def ceiling(folder: Path, threads: int) -> dict[str, float]:
    """GFLOP/s (GOP/s) of the fastest product of each kind."""
    import numpy as np
    import onnxruntime
    import torch
    from onnx import TensorProto, helper, numpy_helper

    torch.set_num_threads(threads)
    rows, inner, outer = 2048, 384, 1536
    work = 2 * rows * inner * outer / 1e9

    def best(action: Callable[[], Any]) -> float:
        action()
        return work / min(timed(action) for _ in range(40))

    found: dict[str, float] = {}
    for name, kind in (("fp32 PyTorch", torch.float32), ("bf16 PyTorch", torch.bfloat16)):
        a, b = torch.randn(rows, inner).to(kind), torch.randn(inner, outer).to(kind)
        found[name] = best(lambda a=a, b=b: a @ b)  # type: ignore[misc]
    random = np.random.default_rng(0)
    weight = random.normal(size=(inner, outer)).astype(np.float32)
    whole = random.integers(-127, 128, (inner, outer)).astype(np.int8)
    scale = np.full(outer, 0.01, np.float32)
    plain = random.normal(size=(rows, inner)).astype(np.float32)
    cases = {
        "fp32 ONNX Runtime": ("MatMul", "", ["x", "w"], [("w", weight)], plain),
        "int8 ONNX Runtime": (
            "MatMulIntegerToFloat",
            "com.microsoft",
            ["x", "w", "a", "s", "z"],
            [("w", whole), ("a", np.float32(0.01)), ("s", scale), ("z", np.uint8(128))],
            random.integers(0, 256, (rows, inner)).astype(np.uint8),
        ),
    }  # fmt: skip
    for name, (kind_, domain, inputs, weights, x) in cases.items():
        node = helper.make_node(kind_, inputs, ["y"], domain=domain)
        type_ = TensorProto.FLOAT if x.dtype == np.float32 else TensorProto.UINT8
        graph = helper.make_graph(
            [node], "g", [helper.make_tensor_value_info("x", type_, [None, inner])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, outer])],
            [numpy_helper.from_array(np.asarray(v), n) for n, v in weights],
        )  # fmt: skip
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        found[name] = best(lambda session=session, x=x: session.run(None, {"x": x}))  # type: ignore[misc]
    return found


def operations(folder: Path, texts: list[str]) -> tuple[int, float]:
    """Pieces of the texts with special tokens, and GFLOP of the weights' products for all of them."""
    import onnx

    from tofner.tagging import Tagger
    from tofner.tagging.engine.texts import to_words
    from tofner.words.segment import segment

    tagger = Tagger.load(folder)
    pieces = sum(tagger.prepare([to_words(text)]).pieces for text in texts if segment(text))
    graph = onnx.load(str(folder / "model.onnx")).graph
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    sizes = [
        shapes[node.input[1]] for node in graph.node if node.op_type in ("MatMul", "Gemm") and node.input[1] in shapes
    ]
    return pieces, pieces * sum(2 * shape[0] * shape[1] for shape in sizes if len(shape) == 2) / 1e9


def in_process(*arguments: str, python: str = sys.executable) -> Any:
    """Run this file on one task, alone, in a process of its own; its last line is JSON."""
    env = {**os.environ, "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run([python, __file__, *arguments], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().split("\n")[-1])


def show(rounds: dict[str, list[float]], peaks: dict[str, float], words: int, gflop: float) -> dict[str, Any]:
    """Print the table; returns its figures."""
    print("\nceiling, GFLOP/s: " + ", ".join(f"{name} {value:.0f}" for name, value in peaks.items()))
    heads = ("words/s", "x pipeline", "in each round", "GFLOP/s", "of ceiling")
    print("\n" + f"{'system':13s}" + "".join(f"{head:>15s}" for head in heads))
    figures: dict[str, Any] = {"words": words, "ceiling": peaks}
    for system, seconds in rounds.items():
        kind = "int8" if system.endswith("int8") else "fp32"
        top = max(value for name, value in peaks.items() if name.startswith(kind))
        best = min(seconds)
        rate, speed, ratio = gflop / best, words / best, min(rounds["pipeline"]) / best
        each = [slow / fast for slow, fast in zip(rounds["pipeline"], seconds, strict=True)]
        figures[system] = {"words_per_s": speed, "ratio": ratio, "ratios": each, "of_ceiling": rate / top}
        span = f"{min(each):.2f} to {max(each):.2f}"
        print(f"{system:13s}{speed:15.0f}{ratio:15.2f}{span:>15s}{rate:15.0f}{rate / top:15.0%}")
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="published folder with checkpoint/")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sentences", type=int, default=1200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--optimum", default="", help="interpreter of an environment with optimum-onnx")
    parser.add_argument("--task", default="", help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    texts = read_texts(given.data, given.sentences)
    if given.task == "ceiling":
        print(json.dumps(ceiling(given.model, given.threads)))
        return 0
    if given.task.startswith("profile:"):
        print(json.dumps(profile(given.task.partition(":")[2], given.model, texts, given.threads)))
        return 0
    if given.task:
        print(json.dumps(measure(given.task, given.model, texts, given.threads, given.batch or None)))
        return 0
    left_out = set() if given.optimum else {"optimum"}
    if not (given.model / "model.int8.onnx").is_file():
        left_out.add("engine-int8")
    systems = [system for system in SYSTEMS if system not in left_out]
    pythons = {"optimum": given.optimum}
    common = ["--model", str(given.model), "--data", str(given.data), "--threads", str(given.threads)]
    everything = [*common, "--sentences", str(given.sentences)]
    words = sum(len(text.split()) for text in texts)
    pieces, gflop = operations(given.model, texts)
    print(f"{len(texts)} texts, {words} words, {pieces} pieces, {gflop:.0f} GFLOP, {given.threads} threads", flush=True)
    batches: dict[str, int] = {}
    for system in systems:
        if not system.startswith("engine"):
            part = [*common, "--sentences", str(max(64, len(texts) // 4)), "--task", system]
            tuned = in_process(*part, python=pythons.get(system, sys.executable))
            batches[system] = tuned["batch"]
            print(f"{system}: batch size {tuned['batch']} of {tuned['tried']} s", flush=True)
    rounds: dict[str, list[float]] = {system: [] for system in systems}
    peaks: dict[str, float] = {}
    for number in range(given.rounds):
        for name, value in in_process(*everything, "--task", "ceiling").items():
            peaks[name] = max(value, peaks.get(name, 0.0))
        for system in systems:
            task = ["--task", system, "--batch", str(batches.get(system, 0))]
            row = in_process(*everything, *task, python=pythons.get(system, sys.executable))
            rounds[system].append(row["seconds"])
        print(f"round {number + 1}: " + ", ".join(f"{s} {words / rounds[s][-1]:.0f}" for s in systems), flush=True)
    figures = show(rounds, peaks, words, gflop)
    for system in systems:
        if system.startswith("engine"):
            shares = in_process(*everything, "--task", f"profile:{system}")
            figures[system]["profile"] = shares
            print(f"\n{system}: " + ", ".join(f"{name} {share:.0%}" for name, share in shares.items()))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
