"""Reads the labelled target sentences: the only stage that looks at target labels.

Its result goes to `evaluate`, which reads the test, and to `judge`, which reads what decides on releases.
"""

from tofner.corpora.corpus import write_ner
from tofner.stages.config import GoldConfig
from tofner.stages.prepare import read_labelled
from tofner.stages.work import Report, Work


def run(config: GoldConfig, work: Work) -> Report:
    report = Report()
    data = work.uri("data")
    for role, splits in {"target_test": config.target_test, "target_dev": config.target_dev}.items():
        if splits or role == "target_test":
            sentences = read_labelled(data, role, splits, config.types, config.label_map, report)
            write_ner(work.output / f"{role}.parquet", sentences)
            report.counts[role] = len(sentences)
    entities = sum(sum(row["entities"].values()) for row in report.details.get("sets", []))
    report.summary = f"{report.counts['target_test']} test sentences"
    if config.target_dev:
        report.summary += f" and {report.counts['target_dev']} that decide on releases"
    report.summary += f" with {entities} entities"
    return report
