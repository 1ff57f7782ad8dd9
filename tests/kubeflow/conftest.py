"""Where the Kubeflow is that these tests run on; all are skipped without one (README.md here)."""

import json
import os
import secrets
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tofner import records, storage
from tofner.sample.place import data_or_sample

SMALL = [
    "stages.mlm.maskings=1", "stages.mlm.epochs=1", "stages.mlm.max_train_examples=40",
    "stages.mrc.epochs=1", "stages.mrc.max_train_examples=20", "stages.mrc.max_dev_examples=20",
    "stages.ner.epochs=1", "stages.ner.max_train_examples=200", "stages.ner.max_dev_examples=40",
    "stages.pseudo_ner.epochs=1", "stages.pseudo_ner.max_train_examples=40", "stages.pseudo_ner.max_dev_examples=40",
    "stages.loop_mrc.epochs=1", "stages.loop_mrc.max_train_examples=20", "stages.loop_mrc.max_dev_examples=20",
    "stages.loop_ner.epochs=1", "stages.loop_ner.max_train_examples=40", "stages.loop_ner.max_dev_examples=40",
    "stages.evaluate.max_examples=60", "stages.export.int8=false", "stages.export.text_sentences=20",
]  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """What `tofner` said and how it ended."""

    code: int
    out: str
    err: str

    def line(self, name: str) -> str:
        """What stands after `name: ` in the output."""
        return next(line.partition(": ")[2] for line in self.out.splitlines() if line.startswith(f"{name}: "))


def tofner(*words: str) -> Ended:
    """The command line, as a shell would call it."""
    ended = subprocess.run([sys.executable, "-m", "tofner.cli", *words], capture_output=True, text=True, check=False)
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@dataclass
class Kubeflow:
    """A server, a fresh prefix in the store with the sample data, and the compiled pipelines."""

    host: str
    store: str
    data: str
    compiled: Path
    namespace: str

    @property
    def where(self) -> list[str]:
        own = ["--namespace", self.namespace] if self.namespace else []
        return ["--host", self.host, "--experiment", "tofner-test", *own]

    def submit(self, *more: str, graph: str = "tof.yaml", wait: bool = True, **parameters: Any) -> Ended:
        """Starts a run; `parameters` are the run's."""
        given = [word for name, value in parameters.items() for word in ("--param", f"{name}={value}")]
        waiting = ["--wait", "--timeout", "2h", "--no-progress-timeout", "40m"] if wait else []
        return tofner("submit", str(self.compiled / graph), *self.where, *given, *waiting, *more)

    def retrain(self, *more: str, **parameters: Any) -> Ended:
        """`tofner retrain` of the small training run."""
        told = {
            "preset": "sample",
            "data": self.data,
            "store": self.store,
            "overrides": json.dumps(SMALL),
            **parameters,
        }
        given = [word for name, value in told.items() for word in ("--param", f"{name}={value}")]
        limits = ["--timeout", "2h", "--no-progress-timeout", "40m"]
        return tofner("retrain", str(self.compiled / "tof.yaml"), *self.where, *given, *limits, *more)

    def train(self, *overrides: str, wait: bool = True, **parameters: Any) -> Ended:
        """A small training run."""
        settings = json.dumps([*SMALL, *overrides])
        told = {"preset": "sample", "data": self.data, "store": self.store, "overrides": settings, **parameters}
        return self.submit(wait=wait, **told)

    def record(self, run: str) -> dict[str, Any]:
        return records.summarise(storage.join(self.store, records.RUNS, run))

    def states(self, run: str) -> dict[str, str]:
        """Status of each step that has begun."""
        return {one["step"]: one["status"] for one in self.record(run)["steps"]}


@pytest.fixture(scope="session")
def kubeflow(tmp_path_factory: pytest.TempPathFactory) -> Kubeflow:
    if not os.environ.get("TOFNER_TEST_KFP"):
        pytest.skip("no Kubeflow is named: make kubeflow KFP=… STORE=…")
    folder = tmp_path_factory.mktemp("kubeflow")
    store = storage.join(os.environ["TOFNER_TEST_STORE"], f"t-{secrets.token_hex(4)}")
    images = [
        "--registry",
        os.environ.get("TOFNER_TEST_REGISTRY", ""),
        "--revision",
        os.environ["TOFNER_TEST_REVISION"],
    ]
    profile = ["--profile", os.environ.get("TOFNER_TEST_PROFILE") or "cpu"]
    assert tofner("compile", "--out", str(folder), *profile, *images).code == 0
    data = data_or_sample("sample", "", store)
    namespace = os.environ.get("TOFNER_TEST_NAMESPACE", "")
    return Kubeflow(os.environ["TOFNER_TEST_KFP"], store, data, folder, namespace)


@pytest.fixture
def fresh(kubeflow: Kubeflow) -> Callable[[], Kubeflow]:
    """The same Kubeflow with a store in which nothing is done yet."""
    return lambda: Kubeflow(
        kubeflow.host, f"{kubeflow.store}-{uuid.uuid4().hex[:6]}", kubeflow.data, kubeflow.compiled, kubeflow.namespace
    )
