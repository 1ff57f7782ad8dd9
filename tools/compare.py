"""Whether two commits train the same models: the smallest pipeline on both, losses and digests side by side.

    python tools/compare.py A B [--except prepare report]

For moves of code that must change nothing. Each commit is checked out in a folder of its own and runs every stage of
Algorithm 1 (T = 1) with its own code, on the same tiny corpora and the same two-layer encoder, which this working tree
makes. `B` may be `.`, the working tree. Ends with 0 when all is equal, with 1 when anything differs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SHOWN = ("train_loss", "score")  # of a stage's metrics, beside its digest


def walk(home: Path) -> dict[str, dict[str, Any]]:
    """Every task of Algorithm 1 in this interpreter's `tofner`; digest and losses by task."""
    from tests.tiny_encoder import make_preset  # the commit's own: settings come and go
    from tofner.stages import execute, plan

    store, data = str(home / "store"), str(home / "data")
    make_preset(home / "preset.yaml", home / "encoder")
    planned = plan(str(home / "preset.yaml"), data, store, iterations=1)
    found: dict[str, dict[str, Any]] = {}

    def do(name: str, stage: str, task: str = "", **inputs: str) -> str:
        result = execute(stage, store, planned.settings[task or stage], inputs)
        manifest = json.loads(Path(result.uri, "manifest.json").read_text(encoding="utf-8"))
        metrics = (
            json.loads(Path(result.uri, "report.json").read_text(encoding="utf-8"))["metrics"]
            if stage != "publish"
            else {}
        )
        found[name] = {"digest": manifest["digest"], **{key: metrics[key] for key in SHOWN if key in metrics}}
        return str(result.uri)

    corpora = do("prepare", "prepare", data=data)
    gold = do("gold", "gold", data=data)
    model = do("mlm", "mlm", corpora=corpora, model=planned.encoder)
    head = model = do("mrc", "mrc", corpora=corpora, model=model)
    model = do("ner", "ner", corpora=corpora, model=model)
    labels = do("label", "pseudo_label", corpora=corpora, model=model)
    model = do("pseudo_ner", "ner", "pseudo_ner", corpora=corpora, model=model, pseudo=labels, head=model)
    labels = do("round 1: label", "pseudo_label", corpora=corpora, model=model)
    head = do("round 1: mrc", "mrc", "loop_mrc", corpora=corpora, model=model, pseudo=labels, head=head)
    model = do("round 1: ner", "ner", "loop_ner", corpora=corpora, model=head, pseudo=labels, head=model)
    do("evaluate", "evaluate", gold=gold, model=model)
    do("export", "export", corpora=corpora, model=model)
    return found


def make_inputs(home: Path) -> None:
    """Corpora and encoder, from this working tree's test data."""
    sys.path[:0] = [str(ROOT)]
    from tests.tiny_encoder import make_data, make_encoder

    make_data(home / "data")
    make_encoder(home / "encoder")


def run_commit(commit: str, inputs: Path, scratch: Path) -> dict[str, dict[str, Any]]:
    """What `walk` finds with the code of a commit."""
    tree = ROOT if commit == "." else scratch / "tree"
    if commit != ".":
        tree.mkdir(parents=True)
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", str(tree)], input=archive, check=True)
    home = scratch / "home"
    home.mkdir(parents=True)
    for name in ("data", "encoder"):
        (home / name).symlink_to(inputs / name)
    environment = {**os.environ, "PYTHONPATH": f"{tree / 'src'}{os.pathsep}{tree}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, "--walk", str(home)], cwd=tree, env=environment, stdout=subprocess.PIPE, check=True
    )
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Whether two commits train the same models.")
    parser.add_argument("commits", nargs="*", metavar="COMMIT", help="two commits; . is the working tree")
    parser.add_argument("--except", dest="skipped", nargs="*", default=[], help="tasks that may differ")
    parser.add_argument("--walk", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.walk:
        print(json.dumps(walk(given.walk)))
        return 0
    if len(given.commits) != 2:
        parser.error("two commits")
    with tempfile.TemporaryDirectory(prefix="tofner-compare-") as scratch:
        inputs = Path(scratch, "inputs")
        inputs.mkdir()
        make_inputs(inputs)
        first, second = (run_commit(c, inputs, Path(scratch, str(i))) for i, c in enumerate(given.commits))
    differ = False
    for task in first | second:
        one, other = first.get(task), second.get(task)
        same = one == other
        differ = differ or (not same and task not in given.skipped)
        verdict = "equal" if same else "may differ" if task in given.skipped else "DIFFERS"
        print(f"{task:<16} {verdict:<11} {json.dumps(one)}" + ("" if same else f"\n{'':<28} {json.dumps(other)}"))
    return int(differ)


if __name__ == "__main__":
    sys.exit(main())
