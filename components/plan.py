"""Component that checks a run before anything is spent on it."""

from tofner_kubeflow.components.stage import stage


@stage
def plan(
    preset: str,
    data: str,
    store: str,
    encoder: str,
    iterations: int,
    mlm: str,
    mrc: str,
    pseudo: str,
    order: str,
    seed: int,
    overrides: list[str],
    model_name: str,
    max_iterations: int,
    gpus: int,
    threads: int,
    run_id: str,
) -> str:
    """Checks settings, ranges, credentials and endpoints before a GPU is used, and writes the plan of the run.

    Args:
        preset: `sample`, `es`, `nl`, `de`, `cbs`, `twitter`, `wnut16`, or a YAML file.
        data: data root, local or `s3://`; empty for preset `sample`, whose corpora are generated.
        store: where results go, `s3://bucket/prefix`.
        encoder: Hub id, folder or `s3://` prefix; empty for the preset's.
        iterations: rounds of continual learning, T in Algorithm 1.
        mlm: line 2; `on`, `off`, or `preset` as the preset says.
        mrc: line 4.
        pseudo: lines 7-11.
        order: of lines 2 and 4.
        seed: of everything random.
        overrides: settings as `key=value`.
        model_name: name to publish under; empty for the preset's.
        max_iterations: rounds that this graph holds.
        gpus: that a task which runs the encoder asks for.
        threads: that such a task computes with; 0 for those of this machine.
        run_id: the orchestrator's name for the run.

    Returns:
        Address of the plan, handed on from task to task.
    """
    from tofner.stages import begin

    switches = {"mlm": mlm, "mrc": mrc, "pseudo": pseudo, "order": order}
    told = (preset, data, store, encoder, iterations, seed, overrides, model_name, max_iterations, gpus, threads)
    return begin(run_id, switches, *told)
