"""Component that checks a run before anything is spent on it."""

from typing import NamedTuple

from kfp import dsl

from tofner_kubeflow.components.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def plan(
    preset: str, data: str, store: str, encoder: str, iterations: int, seed: int, overrides: list[str], model_name: str
) -> NamedTuple(  # type: ignore[valid-type]
    "Planned",
    [
        ("prepare", str),
        ("gold", str),
        ("mlm", str),
        ("mrc", str),
        ("ner", str),
        ("pseudo_label", str),
        ("pseudo_ner", str),
        ("loop_mrc", str),
        ("loop_ner", str),
        ("evaluate", str),
        ("export", str),
        ("report", str),
        ("publish", str),
        ("encoder", str),
        ("use_mlm", bool),
        ("use_mrc", bool),
        ("use_pseudo", bool),
        ("iterations", int),
    ],
):
    """Checks settings, ranges, credentials and endpoints before a GPU is used. Never cached.

    Args:
        preset: `sample`, `es`, `nl`, `de`, `cbs`, `twitter`, `wnut16`, or a YAML file.
        data: data root, local or `s3://`.
        store: where results go, `s3://bucket/prefix`.
        encoder: Hub id, folder or `s3://` prefix; empty for the preset's.
        iterations: rounds of continual learning, T in Algorithm 1.
        seed: of everything random.
        overrides: settings as `key=value`.
        model_name: name to publish under; empty for the preset's.

    Returns:
        For each stage its settings as canonical JSON (with code and data revision, so that they are a sound cache key),
        the pinned encoder, and the switches.
    """
    from collections import namedtuple

    from tofner.stages import expected_errors, plan

    with expected_errors("plan"):
        made = plan(preset, data, store, encoder, iterations, seed, overrides, model_name)
    switches = ["encoder", "use_mlm", "use_mrc", "use_pseudo", "iterations"]
    outputs = {**made.settings, **{name: getattr(made, name) for name in switches}}
    return namedtuple("Planned", outputs)(**outputs)
