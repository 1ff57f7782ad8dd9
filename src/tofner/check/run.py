"""`tofner check`: what a run would be refused for, which files it would read, and what is in them."""

from collections.abc import Sequence

from tofner.check.asked import check_asked, default_name
from tofner.check.files import CheckReport, RoleFile, run_check
from tofner.corpora import data_root, translate
from tofner.errors import BadInput, PassingFault, Problem
from tofner.presets import load_preset
from tofner.settings import Settings


def check_run(
    preset: str,
    data: str,
    encoder: str = "",
    iterations: int = 1,
    seed: int = 2019,
    overrides: Sequence[str] = (),
    model_name: str = "",
) -> CheckReport:
    """Look at everything that a run with these parameters would start from; nothing is written.

    What cannot be asked for now (a Hub that does not answer) becomes a note.

    Raises:
        BadSettings: the preset or an override cannot be read.
        PassingFault: storage failed for now.
    """
    settings = load_preset(preset, overrides)
    report = check_data(settings, data)
    try:
        name = model_name or default_name(preset)
        check_asked(settings, encoder or settings.encoder, iterations, seed, name)
    except BadInput as error:
        report.problems[:0] = error.problems
    except PassingFault as error:
        report.notes.insert(0, f"not looked at: {error}")
    return report


def check_data(settings: Settings, data: str) -> CheckReport:
    """Read every file that a run with these settings would read.

    Raises:
        PassingFault: storage failed for now.
    """
    if not data_root.is_there(data):
        fix = "correct --data; a data root has ner/, mrc/ and text/"
        return CheckReport(problems=[Problem(data, "no such folder", "a data root", fix)])
    files: list[RoleFile] = []
    absent: list[str] = []
    problems: list[Problem] = []
    for role, kind, name, optional in settings.parts():
        set_, split = name.split("/")
        try:
            if optional and data_root.find(data, kind, set_, split) is None:
                absent.append(f"{role}: {name} is not in this data root; the run does without it")
                continue
            uri = data_root.locate(data, kind, set_, split)
        except BadInput as error:
            problems += error.problems or [Problem(name, str(error), "a readable file")]
            continue
        labelled = kind == "ner"
        label_map = settings.label_map if labelled else {}
        files.append(RoleFile(role, kind, set_, split, uri, label_map, settings.types if labelled else ()))
    notes: list[str] = []
    if wanted := settings.translate.dictionary:
        try:
            dictionary = translate.scan(data_root.locate_dictionary(data, wanted))
        except BadInput as error:
            problems += error.problems or [Problem(wanted, str(error), "a readable file")]
        else:
            problems += dictionary.problems.all()
            notes = [f"translate.dictionary {wanted}: {dictionary.pairs} pairs, {len(dictionary.words)} words"]
            notes += dictionary.told()
    report = run_check(files)
    report.notes[:0] = [*absent, *notes]
    report.problems[:0] = problems
    return report
