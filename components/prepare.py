"""Component of stage `prepare`."""

from kfp import dsl

from tofner_kubeflow.components.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def prepare(
    data: str,
    settings: str,
    store: str,
    metrics: dsl.Output[dsl.Metrics],
    markdown: dsl.Output[dsl.Markdown],
) -> str:
    """Reads and checks every corpus, turns NER into MRC, writes Parquet (paper, 3.3.1, 4.2).

    Args:
        data: data root, local or `s3://`.
        settings: the stage's settings as canonical JSON, with code revision and seed.
        store: where results go, `s3://bucket/prefix`.
        metrics: counts of sentences, questions and repairs.
        markdown: what was read, per corpus.

    Returns:
        URI of the folder of corpora.
    """
    from tofner.stages import execute
    from tofner_kubeflow.components.artifacts import fill

    result = execute("prepare", store, settings, {"data": data})
    fill(result, metrics=metrics, markdown=markdown)
    return result.uri
