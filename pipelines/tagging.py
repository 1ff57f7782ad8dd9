"""Batch tagging as a Kubeflow pipeline: as many workers as the run asks for, each with its share of the shards."""

from typing import Any

from kfp import dsl

from tofner_kubeflow.components.tag import tag
from tofner_kubeflow.pipelines.cluster import Cluster

WORKERS = ["0/4", "1/4", "2/4", "3/4"]


def make(cluster: Cluster) -> Any:
    """The graph for one cluster."""

    about = "Tags a bucket of text with a published model"

    @dsl.pipeline(name="tofner-tag", description=about, pipeline_config=cluster.whole_run())
    def tagging(
        model: str,
        texts: str,
        tagged: str,
        workers: list[str] = WORKERS,
        file_format: str = "auto",
        precision: str = "fp32",
        max_bad: str = "1%",
    ) -> None:
        """Tags everything under `texts`. A run that was killed goes on where it was when it is started again.

        Args:
            model: published model, `s3://bucket/models/NAME` for its latest version.
            texts: file, glob or prefix, `s3://…`.
            tagged: prefix for the results.
            workers: `0/N` to `N-1/N`, a pod each.
            file_format: `auto`, `jsonl`, `text`, `conll` or `parquet`.
            precision: `fp32` or `int8`.
            max_bad: bad records that may be, a number or a share such as `1%`.
        """
        with dsl.ParallelFor(workers, name="workers") as worker:
            share = tag(
                model=model,
                texts=texts,
                tagged=tagged,
                worker=worker,
                file_format=file_format,
                precision=precision,
                max_bad=max_bad,
            )
            cluster.for_tagging(share, "tag")

    return tagging
