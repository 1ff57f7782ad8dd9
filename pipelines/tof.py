"""Target-Oriented Fine-tuning as a Kubeflow pipeline: Algorithm 1 of the paper, top to bottom, by its line numbers.

D_s is source, D_t target; f, g and h are the MLM, MRC and NER models, and a theta is the URI of a checkpoint. Data and
checkpoints are folders in object storage, and only their URIs travel between tasks.

KFP loops carry no state, so the `for` of lines 12-19 is unrolled to MAX_ITERATIONS rounds, and the run parameter
`iterations` says how many are entered. A round or stage that is off costs one `keep` task: a process of a second on a
CPU that passes the checkpoint on. `dsl.OneOf` then names whichever of the two ran.
"""

from typing import Any, NamedTuple

from kfp import dsl

from tofner.settings import MAX_ITERATIONS
from tofner_kubeflow.components.evaluate import evaluate
from tofner_kubeflow.components.export import export
from tofner_kubeflow.components.gold import gold
from tofner_kubeflow.components.keep import keep
from tofner_kubeflow.components.mlm import mlm
from tofner_kubeflow.components.mrc import mrc
from tofner_kubeflow.components.ner import ner
from tofner_kubeflow.components.plan import plan
from tofner_kubeflow.components.prepare import prepare
from tofner_kubeflow.components.pseudo_label import pseudo_label
from tofner_kubeflow.components.publish import publish
from tofner_kubeflow.components.report import report
from tofner_kubeflow.pipelines.cluster import Cluster


class Finished(NamedTuple):
    """URIs of what a run leaves."""

    model: str
    report: str


def make(cluster: Cluster) -> Any:
    """The graph for one cluster."""

    @dsl.pipeline(name="tof", description=f"NER without target labels: Algorithm 1, T from 0 to {MAX_ITERATIONS}")
    def tof(
        preset: str = "sample",
        data: str = "",
        store: str = "s3://tofner",
        encoder: str = "",
        iterations: int = 1,
        seed: int = 2019,
        overrides: list[str] = [],  # noqa: B006  KFP reads the default once
        model_name: str = "",
    ) -> Finished:
        """Trains, scores, exports and publishes a tagger for a target without labels.

        Args:
            preset: `sample`, `es`, `nl`, `de`, `cbs`, `twitter` or `wnut16`.
            data: data root, `s3://bucket/prefix` with ner/, mrc/ and text/.
            store: where everything that the run makes goes, `s3://bucket/prefix`.
            encoder: Hub id or `s3://` prefix; empty for the preset's.
            iterations: rounds of continual learning, T in Algorithm 1.
            seed: of everything random; the paper's is 2019.
            overrides: settings as `key=value`, for example `stages.ner.epochs=3`.
            model_name: name to publish under; empty for the preset's.

        Returns:
            URIs of the published model and of the report.
        """
        planned = cluster.on_cpu(
            plan(
                preset=preset,
                data=data,
                store=store,
                encoder=encoder,
                iterations=iterations,
                seed=seed,
                overrides=overrides,
                model_name=model_name,
            ),
            "plan",
        ).set_caching_options(False)
        todo = planned.outputs

        def cpu(component: Any, settings: str, name: str, **inputs: Any) -> Any:
            return cluster.on_cpu(component(settings=todo[settings], store=store, **inputs), name).outputs["Output"]

        def gpu(component: Any, settings: str, name: str, **inputs: Any) -> Any:
            return cluster.on_gpu(component(settings=todo[settings], store=store, **inputs), name).outputs["Output"]

        def score(name: str, model: Any, **inputs: Any) -> Any:
            task = evaluate(gold=test, model=model, settings=todo["evaluate"], store=store, **inputs)
            return cluster.on_gpu(task, f"score: {name}").outputs["scores"]

        def skip(name: str, **inputs: Any) -> Any:
            return cluster.on_cpu(keep(**inputs), name).outputs

        # Input: D_t,no, D_s,no, D_t,m, D_s,m, D_s,n, D_s,nm. The target's test labels are a folder apart, for scoring.
        corpora = cpu(prepare, "prepare", "prepare", data=data)
        test = cpu(gold, "gold", "gold", data=data)

        # 1-2: initialize theta_mlm = theta^(0); fine-tune f on {D_t,no, D_s,no}
        with dsl.If(todo["use_mlm"] == True, "mlm"):  # noqa: E712  builds a condition
            f = gpu(mlm, "mlm", "line 2: mlm", corpora=corpora, model=todo["encoder"])
        with dsl.Else("no-mlm"):
            off = skip("line 2: skipped", model=todo["encoder"])
        theta_mlm = dsl.OneOf(f, off["model"])

        # 3-4: theta_mrc = theta_mlm; fine-tune g on {D_t,m, D_s,m, D_s,nm}
        with dsl.If(todo["use_mrc"] == True, "mrc"):  # noqa: E712
            g = gpu(mrc, "mrc", "line 4: mrc", corpora=corpora, model=theta_mlm)
        with dsl.Else("no-mrc"):
            off = skip("line 4: skipped", model=theta_mlm)
        theta_mrc = dsl.OneOf(g, off["model"])
        g_head = dsl.OneOf(g, off["head"])  # an MRC head to carry on, if there is one

        # 5-6: theta_ner = theta_mrc; fine-tune h on {D_s,n}
        theta_ner = gpu(ner, "ner", "line 6: ner", corpora=corpora, model=theta_mrc)
        scores = score("ner", theta_ner)

        # 7-9: label D_t,no with h; theta_ner^(0) = theta_ner; fine-tune h on the labels
        with dsl.If(todo["use_pseudo"] == True, "pseudo"):  # noqa: E712
            labels = gpu(pseudo_label, "pseudo_label", "line 7: label", corpora=corpora, model=theta_ner)
            h = gpu(ner, "pseudo_ner", "line 9: ner", corpora=corpora, model=theta_ner, pseudo=labels, head=theta_ner)
            scored = score("pseudo", h, earlier=scores)
        with dsl.Else("no-pseudo"):
            off = skip("line 9: skipped", model=theta_ner, scores=scores)
        theta_ner = dsl.OneOf(h, off["model"])
        scores = dsl.OneOf(scored, off["scores"])
        earlier = dsl.OneOf(labels, off["labels"])  # for the share of labels that changed, told by the next round

        # 12: for i = 1 -> T do
        for i in range(1, MAX_ITERATIONS + 1):
            with dsl.If(todo["iterations"] >= i, f"round-{i}"):
                # 10-11, or 17-18 of the round before: label D_t,no with h; `mrc` reads the labels as pseudo-MRC.
                # Labels of the last round would serve nothing, so a round begins with labelling instead of ending so.
                labels = gpu(
                    pseudo_label,
                    "pseudo_label",
                    f"round {i}: label",
                    corpora=corpora,
                    model=theta_ner,
                    earlier=earlier,
                )
                # 13-14: theta_mrc^(i) = theta_ner^(i-1); fine-tune g on {D_t,m, pseudo-MRC}
                g = gpu(
                    mrc, "loop_mrc", f"round {i}: mrc", corpora=corpora, model=theta_ner, pseudo=labels, head=g_head
                )
                # 15-16: theta_ner^(i) = theta_mrc^(i); fine-tune h on pseudo-NER
                h = gpu(ner, "loop_ner", f"round {i}: ner", corpora=corpora, model=g, pseudo=labels, head=theta_ner)
                scored = score(f"round {i}", h, earlier=scores)
            with dsl.Else(f"no-round-{i}"):
                off = skip(f"round {i}: skipped", model=theta_ner, scores=scores, head=g_head, labels=earlier)
            theta_ner = dsl.OneOf(h, off["model"])
            g_head = dsl.OneOf(g, off["head"])
            scores = dsl.OneOf(scored, off["scores"])
            earlier = dsl.OneOf(labels, off["labels"])
        # 19: end for

        # 20-21: the test was predicted by `evaluate` above; return h(theta_ner^(T))
        onnx = cpu(export, "export", "line 21: export", corpora=corpora, model=theta_ner)
        told = cpu(report, "report", "report", model=theta_ner, export=onnx, scores=scores)
        published = cpu(publish, "publish", "publish", export=onnx, model=theta_ner, report=told)
        return Finished(published, told)

    return tof
