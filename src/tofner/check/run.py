"""`tofner check`: which files a preset reads from a data root, and what is in them."""

from tofner.check.files import CheckReport, RoleFile, run_check
from tofner.corpora import data_root
from tofner.errors import BadInput, Problem
from tofner.presets import queries_of
from tofner.settings import Settings


def check_data(settings: Settings, data: str) -> CheckReport:
    """Read every file that a run with these settings would read; nothing is written.

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
    try:
        queries_of(settings, iterations=int(settings.use.pseudo))
    except BadInput as error:
        problems += error.problems
    report = run_check(files)
    report.notes[:0] = absent
    report.problems[:0] = problems
    return report
