"""Metrics in files, as Prometheus' own parser reads them."""

from prometheus_client.parser import text_string_to_metric_families

from tofner.tagging.textfile import Figure, text


def test_any_name_comes_back_and_figures_of_one_name_stand_together() -> None:
    nasty = 'a "quoted\\" type\nof two lines, {x="y"} 漢'
    given = [Figure("b", "of b", 1 / 3, {"type": nasty}), Figure("a", "of a", 2**40), Figure("b", "of b", 0)]
    families = list(text_string_to_metric_families(text(given)))
    assert [(one.name, one.type, one.documentation) for one in families] == [
        ("tofner_a", "gauge", "of a"),
        ("tofner_b", "gauge", "of b"),
    ]
    found = [(sample.labels, sample.value) for one in families for sample in one.samples]
    assert found == [({}, 2**40), ({"type": nasty}, 1 / 3), ({}, 0)]
