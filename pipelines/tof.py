"""Target-Oriented Fine-tuning as a Kubeflow pipeline: Algorithm 1 of the paper, top to bottom, by its line numbers.

D_s is source, D_t target; f, g and h are the tasks that train the MLM, MRC and NER models of these names, y those that
label the target text. Data and checkpoints are folders in object storage, and only their URIs travel between tasks.

The graph is flat. KFP loops carry no state, so the `for` of lines 12-19 is unrolled to as many rounds as the graph was
compiled for, and a step that a run leaves out is a light task that passes on what it was given. `run`, the address of
the plan, goes from task to task, so that the graph is a chain; so does the number of GPUs that the next task asks for,
none where its result is in the store.
"""

from typing import Any, NamedTuple

from google.protobuf import struct_pb2
from kfp import dsl

from tofner_kubeflow.components.evaluate import evaluate
from tofner_kubeflow.components.export import export
from tofner_kubeflow.components.gold import gold
from tofner_kubeflow.components.mlm import mlm
from tofner_kubeflow.components.mrc import mrc
from tofner_kubeflow.components.ner import ner
from tofner_kubeflow.components.plan import plan
from tofner_kubeflow.components.prepare import prepare
from tofner_kubeflow.components.pseudo_label import pseudo_label
from tofner_kubeflow.components.publish import publish
from tofner_kubeflow.components.report import report
from tofner_kubeflow.pipelines.cluster import Cluster

SWITCH = ("preset", "on", "off")
CHOICES: dict[str, tuple[str, ...]] = {  # what a parameter can be
    "mlm_stage": SWITCH,
    "mrc_stage": SWITCH,
    "pseudo": SWITCH,
    "order": ("preset", "mlm-mrc", "mrc-mlm"),
}


class Finished(NamedTuple):
    """URIs of what a run leaves."""

    model: str
    report: str


def make(cluster: Cluster) -> Any:
    """The graph for one cluster."""
    most = cluster.max_iterations

    about = f"NER without target labels: Algorithm 1, T from 0 to {most}"

    @dsl.pipeline(name="tof", description=about, pipeline_config=cluster.whole_run())
    def tof(
        preset: str = "sample",
        data: str = "",
        store: str = cluster.store,
        encoder: str = "",
        iterations: int = min(1, most),
        mlm_stage: str = "preset",
        mrc_stage: str = "preset",
        pseudo: str = "preset",
        order: str = "preset",
        seed: int = 2019,
        overrides: list[str] = [],  # noqa: B006  KFP reads the default once
        model_name: str = "",
    ) -> Finished:
        """Trains, scores, exports and publishes a tagger for a target without labels.

        Args:
            preset: `sample`, `es`, `nl`, `de`, `cbs`, `twitter` or `wnut16`.
            data: data root, `s3://bucket/prefix` with ner/, mrc/ and text/; `sample` needs none.
            store: where everything that the run makes goes, `s3://bucket/prefix`.
            encoder: Hub id or `s3://` prefix; empty for the preset's.
            iterations: rounds of continual learning, T in Algorithm 1.
            mlm_stage: line 2: `on`, `off` (direct transfer), or as the preset says.
            mrc_stage: line 4: `on`, `off` (AdaptaBERT), or as the preset says.
            pseudo: lines 7-11: `on`, `off` (without pseudo data), or as the preset says.
            order: of lines 2 and 4, `mlm-mrc` or `mrc-mlm` (Table 3), or as the preset says.
            seed: of everything random; the paper's is 2019.
            overrides: settings as `key=value`, for example `stages.ner.epochs=3`.
            model_name: name to publish under; empty for the preset's.

        Returns:
            URIs of the published model and of the report.
        """

        def cpu(component: Any, name: str, **inputs: Any) -> Any:
            return cluster.on_cpu(component(**inputs), name)

        def gpu(component: Any, name: str, after: Any, **inputs: Any) -> Any:
            """A task that runs the encoder: a step of Algorithm 1 under its name, after another one."""
            run, gpus = after.outputs["run"], after.outputs["gpus"]
            return cluster.on_gpu(component(step=name, run=run, gpus=gpus, **inputs), name, gpus)

        def model(task: Any) -> Any:
            return task.outputs["model"]

        todo = cpu(
            plan,
            "plan",
            preset=preset,
            data=data,
            store=store,
            encoder=encoder,
            iterations=iterations,
            mlm=mlm_stage,
            mrc=mrc_stage,
            pseudo=pseudo,
            order=order,
            seed=seed,
            overrides=overrides,
            model_name=model_name,
            max_iterations=most,
            gpus=cluster.encoder.gpus,
            threads=cluster.encoder.threads_pinned,
            run_id=cluster.run_id,
        ).set_caching_options(False)  # by no cache: what it looks at may have changed in its place

        # Input: D_t,no, D_s,no, D_t,m, D_s,m, D_s,n, D_s,nm. The target's test labels are a folder apart, for scoring.
        corpora = cpu(prepare, "prepare", run=todo.output)
        test = cpu(gold, "gold", run=todo.output).output

        # 1-2: initialize theta_mlm = theta^(0); fine-tune f on {D_t,no, D_s,no}
        f = gpu(mlm, "line 2: mlm", corpora)
        # 3-4: theta_mrc = theta_mlm; fine-tune g on {D_t,m, D_s,m, D_s,nm}
        g = gpu(mrc, "line 4: mrc", f, model=model(f))
        # 5-6: theta_ner = theta_mrc; fine-tune h on {D_s,n}
        h = gpu(ner, "line 6: ner", g, model=model(g))
        # 7-9: label D_t,no with h; theta_ner^(0) = theta_ner; fine-tune h on the labels
        y = gpu(pseudo_label, "line 7: label", h, model=model(h))
        h = gpu(ner, "line 9: ner", y, model=model(h), pseudo=y.outputs["labels"], head=model(h))

        # 12: for i = 1 -> T do
        for i in range(1, most + 1):
            # 10-11, or 17-18 of the round before: label D_t,no with h; `mrc` reads the labels as pseudo-MRC.
            # Labels of the last round would serve nothing, so a round begins with labelling instead of ending so.
            y = gpu(pseudo_label, f"round {i}: label", h, model=model(h), earlier=y.outputs["labels"])
            # 13-14: theta_mrc^(i) = theta_ner^(i-1); fine-tune g on {D_t,m, pseudo-MRC}
            g = gpu(mrc, f"round {i}: mrc", y, model=model(h), pseudo=y.outputs["labels"], head=model(g))
            # 15-16: theta_ner^(i) = theta_mrc^(i); fine-tune h on pseudo-NER
            h = gpu(ner, f"round {i}: ner", g, model=model(g), pseudo=y.outputs["labels"], head=model(h))
        # 19: end for

        # 20-21: predict the test with every h; return h(theta_ner^(T))
        run, gpus = h.outputs["run"], h.outputs["gpus"]
        scores = cluster.on_gpu(evaluate(run=run, gpus=gpus, gold=test, model=model(h)), "line 20: evaluate", gpus)
        onnx = cpu(export, "line 21: export", run=run, model=model(h)).output
        told = cpu(report, "report", run=run, model=model(h), export=onnx, scores=scores.outputs["Output"])
        made = cpu(publish, "publish", run=run, model=model(h), export=onnx, report=told.outputs["Output"])
        cluster.publishing(made)
        return Finished(made.outputs["Output"], told.outputs["Output"])

    for name, values in choices(most).items():
        parameter = tof.pipeline_spec.root.input_definitions.parameters[name]
        parameter.literals.extend(values)
    return tof


def choices(most: int) -> dict[str, list[struct_pb2.Value]]:
    """What a run parameter can be, where that is a list: the UI shows it as a menu, and the server refuses others."""
    named = {name: [struct_pb2.Value(string_value=value) for value in values] for name, values in CHOICES.items()}
    return named | {"iterations": [struct_pb2.Value(number_value=i) for i in range(most + 1)]}
