"""Reads the labelled target test: the only stage that looks at target labels, and only `evaluate` reads its result."""

from tofner.corpora.corpus import write_ner
from tofner.stages.config import GoldConfig
from tofner.stages.prepare import read_labelled
from tofner.stages.work import Report, Work


def run(config: GoldConfig, work: Work) -> Report:
    report = Report()
    data = work.uri("data")
    sentences = read_labelled(data, "target_test", config.target_test, config.types, config.label_map, report)
    write_ner(work.output / "target_test.parquet", sentences)
    report.counts["target_test"] = len(sentences)
    entities = sum(sum(row["entities"].values()) for row in report.details["sets"])
    report.summary = f"{len(sentences)} test sentences with {entities} entities"
    return report
