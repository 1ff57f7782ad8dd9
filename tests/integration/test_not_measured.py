"""A run without labelled target sentences, through the real components: every place says that nothing was measured."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_seams import Run, evaluate, export, gold, ner, plan, prepare, publish, report
from tofner import records
from tofner.model.versions import find
from tofner.tagging import Tagger

pytestmark = pytest.mark.integration
NOTHING = ["roles.target_test=[]", "use.mlm=false", "use.mrc=false", "use.pseudo=false"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    r = Run(tmp_path_factory.mktemp("not-measured"))
    told: dict[str, Any] = {"preset": str(r.root / "preset.yaml"), "data": r.data, "store": r.store, "encoder": ""}
    switches = dict.fromkeys(("mlm", "mrc", "pseudo", "order"), "preset")
    more = {"seed": 1, "overrides": NOTHING, "model_name": "m", "max_iterations": 0, "gpus": 0, "threads": 0}
    more["run_id"] = "run-8"
    r.plan = plan.python_func(**told, iterations=0, **switches, **more)
    r.do(prepare)
    test = r.do(gold)
    h = r.do(ner, "line 6: ner", model=str(r.root / "encoder"))
    scores = r.do(evaluate, gold=test, model=h.model)
    onnx = r.do(export, model=h.model)
    told = r.do(report, model=h.model, export=onnx, scores=scores)
    r.do(publish, model=h.model, export=onnx, report=told)
    return r


def text_of(run: Run, name: str, artifact: str) -> str:
    return Path(run.of(name)[-1].artifacts[artifact].path).read_text(encoding="utf-8")


def test_every_page_says_so_and_none_says_zero(run: Run) -> None:
    (published,) = [Path(task.returned) for task in run.of("publish")]
    verdict = "The tagger was not measured: there are no labelled target sentences."
    pages = {
        "page": text_of(run, "report", "html"),
        "summary": text_of(run, "publish", "summary"),
        "text": (published / "reports" / "report.md").read_text(encoding="utf-8"),
        "card": (published / "README.md").read_text(encoding="utf-8"),
    }
    for name, page in pages.items():
        assert "ot measured" in page, name
        assert not re.search(r"F1[^|\n]{0,20}\b0[.]0", page), name
        assert "in percent" not in page, name
    assert verdict in pages["page"]
    assert verdict in pages["text"]
    assert pages["page"].count("name some as roles.target_test") == 1, "what to do is said once"
    assert "- F1: not measured\n" in pages["summary"]


def test_numbers_are_absent_and_not_zero(run: Run) -> None:
    assert json.loads(text_of(run, "report", "metrics")) == {"measured": 0.0}
    assert json.loads(text_of(run, "evaluate", "confusion")) == {"labels": [], "matrix": []}
    assert "confusionMatrix" not in run.of("evaluate")[0].artifacts["confusion"].metadata
    assert "f1" not in run.of("publish")[0].artifacts["tagger"].metadata
    (model,) = find(run.store)
    assert model.versions[0].f1 is None
    assert records.summarise(f"{run.store}/runs/run-8")["f1"] is None


def test_the_tagger_is_published_all_the_same(run: Run) -> None:
    (published,) = [task.returned for task in run.of("publish")]
    assert len(Tagger.load(published).tag(["Anna Berg flew to Oslo on Monday ."])) == 1
