"""Settings for data that nobody has tuned on: a test for each branch of the rules."""

import statistics
from pathlib import Path
from typing import Any

import pytest

from tofner.begin.rules import ENGLISH, MULTILINGUAL, SMALL, Resources, Sizes, choose
from tofner.presets.load import load_preset, preset_names

GIB = 1 << 30
GPU = Resources(8, 64 * GIB, True)
CPU = Resources(4, 64 * GIB, False)
MIDDLE = Sizes(14_000, 20_000, 500)


@pytest.mark.parametrize(
    ("machine", "language", "asked", "encoder"),
    [
        (CPU, "en", "", SMALL),
        (CPU, "es", "", MULTILINGUAL),
        (GPU, "en", "", ENGLISH),
        (GPU, "de", "", MULTILINGUAL),
        (CPU, "en", "s3://b/mine", "s3://b/mine"),
    ],
)
def test_encoder(machine: Resources, language: str, asked: str, encoder: str) -> None:
    chosen = choose(MIDDLE, machine, language, asked)
    assert chosen.encoder == encoder
    small = encoder == SMALL
    assert (chosen.head_rate, chosen.rates["ner"]) == ((1e-3, 1e-4) if small else (None, 5e-5))


def test_rates_are_the_middle_of_the_papers_table() -> None:
    papers = [load_preset(name).stages for name in preset_names() if name != "sample"]
    assert len(papers) == 6
    rates = choose(MIDDLE, GPU, "en").rates
    middle = {task: statistics.median_high(getattr(one, task).learning_rate for one in papers) for task in rates}
    assert rates == middle
    sample = load_preset("sample").stages
    assert choose(MIDDLE, CPU, "en").rates == {task: getattr(sample, task).learning_rate for task in rates}


@pytest.mark.parametrize(
    ("source", "machine", "epochs"),
    [(1_999, GPU, 10), (1_999, CPU, 10), (2_000, GPU, 6), (2_000, CPU, 3), (50_000, GPU, 6), (50_001, GPU, 3)],
)
def test_epochs(source: int, machine: Resources, epochs: int) -> None:
    assert choose(Sizes(source, 100, 0), machine, "en").epochs == epochs


@pytest.mark.parametrize(
    ("source", "machine", "batch", "added"),
    [
        (1_999, GPU, 16, 1),
        (2_000, GPU, 64, 1),
        (2_000, Resources(2, 12 * GIB, False), 64, 1),
        (2_000, Resources(2, 12 * GIB - 1, False), 16, 4),
        (1_999, Resources(2, 4 * GIB, False), 16, 1),
        (2_000, Resources(2, 4 * GIB, True), 64, 1),
    ],
)
def test_batches(source: int, machine: Resources, batch: int, added: int) -> None:
    chosen = choose(Sizes(source, 100, 0), machine, "en")
    assert (chosen.batch_size, chosen.gradient_accumulation) == (batch, added)


@pytest.mark.parametrize(("target", "machine", "maskings"), [(50_000, GPU, 10), (50_001, GPU, 3), (50, CPU, 2)])
def test_maskings(target: int, machine: Resources, maskings: int) -> None:
    assert choose(Sizes(5_000, target, 0), machine, "en").maskings == maskings


def test_caps_are_by_cores_where_there_is_no_gpu() -> None:
    assert choose(MIDDLE, CPU, "en").caps == (4_000, 1_000)
    assert choose(MIDDLE, GPU, "en").caps == (None, None)


def test_each_choice_has_a_reason() -> None:
    why = choose(Sizes(3_000, 100, 0), Resources(2, 4 * GIB, False), "en").why
    assert [line.split()[0] for line in why] == ["encoder", "3", "batches", "2", "at"]


@pytest.mark.parametrize(
    ("limit", "gpu", "least"), [("1073741824", True, True), ("max", False, False), (None, False, False)]
)
def test_the_machine_is_what_the_pod_may_use(limit: str | None, gpu: bool, least: bool, tmp_path: Path) -> None:
    places: dict[str, Any] = {"dev/nvidia0": "" if gpu else None, "sys/fs/cgroup/memory.max": limit}
    for name, content in places.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            (tmp_path / name).write_text(content)
    here = Resources.here(tmp_path)
    assert here.gpu is gpu
    assert (here.memory == GIB) is least
    assert here.cores >= 1
