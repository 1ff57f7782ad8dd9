"""Reads the labelled target sentences: the only stage that looks at target labels which are not to be trained on.

Its result goes to `evaluate`, which reads the test, and to `judge`, which reads what decides on releases.
"""

from tofner.corpora.corpus import write_ner
from tofner.corpora.halves import halves
from tofner.stages.config import GoldConfig
from tofner.stages.prepare import read_labelled
from tofner.stages.work import Report, Work
from tofner.words.spans import tags_to_spans


def run(config: GoldConfig, work: Work) -> Report:
    report = Report()
    data = work.uri("data")
    entities = 0
    for role, splits in {"target_test": config.target_test, "target_dev": config.target_dev}.items():
        own = config.target_ner if role == "target_test" else None
        if splits or role == "target_test":
            sentences = read_labelled(data, role, splits, config.types, config.label_map, report)
            if own:
                told = Report() if own.train_share else report  # `prepare` tells of files that train too
                labelled = read_labelled(data, "target_ner", own.sets, config.types, config.label_map, told)
                sentences += halves(labelled, own.train_share, own.split_seed)[1]
            write_ner(work.output / f"{role}.parquet", sentences)
            report.counts[role] = len(sentences)
            entities += sum(len(tags_to_spans(one.tags or [])) for one in sentences)
    report.summary = f"{report.counts['target_test']} test sentences"
    if config.target_dev:
        report.summary += f" and {report.counts['target_dev']} that decide on releases"
    report.summary += f" with {entities} entities"
    return report
