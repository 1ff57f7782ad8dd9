"""Component that tags one worker's shards. A container component: the tagger's image holds neither torch nor kfp."""

from kfp import dsl

from tofner_kubeflow.components.images import TAGGER


@dsl.container_component
def tag(model: str, texts: str, tagged: str, worker: str, file_format: str, precision: str, max_bad: str):  # type: ignore[no-untyped-def]
    """Finds entities in one worker's share of the shards; shards that are done are not done again.

    Args:
        model: published model, a version folder or the model's root.
        texts: file, folder, glob or `s3://` prefix.
        tagged: prefix for the results.
        worker: `I/N`, worker I of N. Any N gives the same bytes.
        file_format: `auto`, `jsonl`, `text`, `conll` or `parquet`.
        precision: `fp32` or `int8`.
        max_bad: bad records that may be, a number or a share such as `1%`.
    """
    command = ["tofner", "tag", "--quiet", "--model", model, "--input", texts, "--output", tagged]
    options = ["--worker", worker, "--format", file_format, "--precision", precision, "--max-bad", max_bad]
    return dsl.ContainerSpec(image=TAGGER, command=[*command, *options])
