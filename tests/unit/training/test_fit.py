"""The fit loop on a model of 30 weights: what each step gets, which epoch is left, and how a killed run goes on."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from tests.tiny_encoder import make_encoder, sentences
from tofner import storage
from tofner.errors import BadSettings
from tofner.settings import Machine, Training
from tofner.stages.work import told_epochs
from tofner.training import checkpoint
from tofner.training.batches import Examples, Features, pad
from tofner.training.fit import Fitted, fit, prepare_torch
from tofner.training.ner import tag_examples
from tofner.training.state import Keep, restore_state
from tofner.words.features import IGNORED

SIZE, BATCH, EPOCHS = 12, 4, 4
STEPS = EPOCHS * SIZE // BATCH
CPU = Machine(device="cpu", threads=torch.get_num_threads(), precision="fp32")
SCRIPT = (0.2, 0.9, 0.9, 0.1)  # the second epoch is the best; the third is only as good


class Tiny(nn.Module):
    """Encoder and head in the form of a fine-tuned model; its loss is a sum of squares."""

    base_model_prefix = "encoder"

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"linear": nn.Linear(4, 4), "norm": nn.LayerNorm(4), "dropout": nn.Dropout(0.1)})
        self.head = nn.Linear(4, 1)
        self.modes: list[bool] = []
        self.seen: list[list[int]] = []
        self.losses: list[float] = []

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
        self.modes.append(self.training)
        self.seen.append(input_ids[:, 0].tolist())
        hidden = self.encoder["dropout"](self.encoder["norm"](self.encoder["linear"](input_ids.float())))
        loss = (self.head(hidden).squeeze(-1) - 50.0).square().mean()
        self.losses.append(loss.item())
        return {"loss": loss}


@dataclass
class Steps:
    """What each optimizer step was given: (learning rate, decay) and gradient of every parameter, by its name; and what
    it left."""

    rates: list[dict[str, float]] = field(default_factory=list)
    decays: list[dict[str, float]] = field(default_factory=list)
    gradients: list[dict[str, torch.Tensor | None]] = field(default_factory=list)
    after: list[dict[str, torch.Tensor]] = field(default_factory=list)  # the weights that it left


@dataclass
class Run:
    model: Tiny
    steps: Steps
    fitted: Fitted | None
    after_epoch: list[dict[str, torch.Tensor]]
    score_modes: list[bool]
    keep: Keep
    epochs_seen: list[int]

    @property
    def metrics(self) -> dict[str, float]:
        assert self.fitted is not None
        return self.fitted.metrics

    @property
    def history(self) -> dict[str, Any]:
        assert self.fitted is not None
        return self.fitted.history


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def keep_in(folder: Path) -> Keep:
    """As a stage makes it; the scratch folder is gone after a kill, the state is not."""
    scratch = folder / f"scratch-{len(list(folder.glob('scratch-*')))}"
    scratch.mkdir(parents=True)
    return Keep("ner", scratch / "trainer", str(folder / "state"))


@pytest.fixture(autouse=True)
def _free_determinism() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


def run_fit(
    folder: Path,
    script: tuple[float, ...] = SCRIPT,
    freeze: float = 0.0,
    seed: int = 5,
    keep_last: bool = False,
    **more: Any,
) -> Run:
    """Fit the tiny model; a NaN in the script stands for a kill after that epoch's training."""
    prepare_torch(seed, CPU)
    model, steps, keep = Tiny(), Steps(), keep_in(folder)
    names = {id(parameter): name for name, parameter in model.named_parameters()}

    def before_step(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        pairs = [(names[id(p)], group) for group in optimizer.param_groups for p in group["params"]]
        steps.rates.append({name: group["lr"] for name, group in pairs})
        steps.decays.append({name: group["weight_decay"] for name, group in pairs})
        gradients = {name: p.grad for name, p in model.named_parameters()}
        steps.gradients.append({name: None if g is None else g.clone() for name, g in gradients.items()})

    after_epoch: list[dict[str, torch.Tensor]] = []
    score_modes: list[bool] = []
    rows = [np.array([i, i % 5, i % 3, 1]) for i in range(1, SIZE + 1)]
    values = iter(script)
    epochs_seen: list[int] = []

    def score(m: nn.Module) -> dict[str, float]:
        after_epoch.append(weights(m))
        score_modes.append(m.training)
        value = next(values)
        if math.isnan(value):
            raise KeyboardInterrupt
        return {"score": value, "twice": 2 * value}

    settings = Training(**{"learning_rate": 0.01, "epochs": EPOCHS, "batch_size": BATCH, **more})
    hook = register_optimizer_step_pre_hook(before_step)
    after = register_optimizer_step_post_hook(lambda *_: steps.after.append(weights(model)))
    fitted: Fitted | None = None
    try:

        def make(i: int) -> Features:
            epochs_seen.append(examples.epoch)
            return {"input_ids": rows[i]}

        examples = Examples(SIZE, make, [4] * SIZE)
        fitted = fit(model, examples, lambda batch: pad(batch, {}), score, settings, keep, seed, CPU, freeze, keep_last)
    except KeyboardInterrupt:
        assert any(map(math.isnan, script))
    finally:
        hook.remove()
        after.remove()
    return Run(model, steps, fitted, after_epoch, score_modes, keep, epochs_seen)


def test_the_best_epoch_is_left_and_told(tmp_path: Path) -> None:
    run = run_fit(tmp_path)
    assert len(run.after_epoch) == EPOCHS
    assert equal(weights(run.model), run.after_epoch[1])
    assert not equal(weights(run.model), run.after_epoch[2])
    assert {name: run.metrics[name] for name in ("score", "twice", "best_epoch", "epochs")} == {
        "score": 0.9, "twice": 1.8, "best_epoch": 2.0, "epochs": 4.0
    }  # fmt: skip


def test_a_later_epoch_is_left_if_it_is_better(tmp_path: Path) -> None:
    run = run_fit(tmp_path, script=(-3.0, -2.0, -2.5, -1.0))
    assert equal(weights(run.model), run.after_epoch[3])
    assert run.metrics["best_epoch"] == 4.0


def test_scores_are_made_without_dropout_and_training_with_it(tmp_path: Path) -> None:
    run = run_fit(tmp_path)
    assert run.score_modes == [False] * EPOCHS
    assert run.model.modes == [True] * STEPS


def schedule(step: int, warm: int) -> float:
    """BERT's: linear up to the peak, then linear down to 0 at the end."""
    return step / warm if step < warm else (STEPS - step) / (STEPS - warm)


@pytest.mark.parametrize(("head_rate", "peak"), [(0.5, 0.5), (None, 0.01)])
def test_rates_rise_and_fall_and_the_head_has_its_own(tmp_path: Path, head_rate: float | None, peak: float) -> None:
    run = run_fit(tmp_path, head_learning_rate=head_rate, warmup=0.25)
    assert len(run.steps.rates) == STEPS
    for step, rates in enumerate(run.steps.rates):
        assert len(rates) == 6
        for name, rate in rates.items():
            highest = peak if name.startswith("head.") else 0.01
            assert rate == pytest.approx(highest * schedule(step, STEPS // 4)), (step, name)


def test_a_constant_rate_falls_from_epoch_to_epoch(tmp_path: Path) -> None:
    run = run_fit(tmp_path, warmup=0.25, schedule="constant", epoch_decay=0.5)
    an_epoch = STEPS // EPOCHS
    expected = [min(1.0, step / (STEPS // 4)) * 0.5 ** (step // an_epoch) for step in range(STEPS)]
    assert [rates["head.bias"] / 0.01 for rates in run.steps.rates] == pytest.approx(expected)
    assert len({round(value, 6) for value in expected}) > 4


def test_the_encoder_rises_when_its_head_is_warm(tmp_path: Path) -> None:
    """After the wait its rate begins at 0 and takes as many steps to rise as the head's took."""
    run = run_fit(tmp_path, warmup=0.25, freeze=0.5)
    waits, warm = STEPS // 2, STEPS // 4
    for step, rates in enumerate(run.steps.rates):
        assert rates["head.weight"] == pytest.approx(0.01 * schedule(step, warm))
        rising = max(0.0, min(1.0, (step - waits) / warm))
        assert rates["encoder.linear.weight"] == pytest.approx(0.01 * min(rising, schedule(step, warm))), step
    assert run.steps.rates[waits]["encoder.linear.weight"] == 0.0 < run.steps.rates[waits + 1]["encoder.linear.weight"]


def test_the_last_epoch_is_left_where_that_is_asked_for(tmp_path: Path) -> None:
    run = run_fit(tmp_path, keep_last=True)
    assert equal(weights(run.model), run.after_epoch[-1])
    assert (run.metrics["best_epoch"], run.metrics["score"]) == (4.0, 0.1)
    run_fit(tmp_path / "killed", (0.2, 0.9, math.nan), keep_last=True)
    again = run_fit(tmp_path / "killed", script=(0.9, 0.1), keep_last=True)
    assert equal(weights(again.model), weights(run.model))


@pytest.mark.parametrize("share", [0.5, 0.26])
def test_the_last_weights_are_averaged_where_that_is_asked_for(tmp_path: Path, share: float) -> None:
    """One checkpoint at the end of each tenth of the 12 steps, as far as it lies in the last share."""
    run = run_fit(tmp_path, script=(*SCRIPT, 0.7), average_last=share)
    ends = {math.ceil(STEPS * part / 10) for part in range(1, 11)}
    taken = [step for step in sorted(ends) if step > STEPS * (1 - share)]
    assert len(taken) == {0.5: 5, 0.26: 4}[share]
    for name, tensor in run.model.named_parameters():
        mean = torch.stack([run.steps.after[step - 1][name].double() for step in taken]).mean(0)
        torch.testing.assert_close(tensor.detach().double(), mean, rtol=1e-6, atol=1e-7)
    assert not equal(weights(run.model), run.after_epoch[-2])
    assert equal(weights(run.model), run.after_epoch[-1]), "what is scored is what is left"
    assert (run.metrics["score"], run.metrics["averaged"]) == (0.7, len(taken))
    assert told_epochs(run.metrics) == f"mean of {len(taken)} checkpoints of 4 epochs"
    assert [value for _, value in run.history["score"]] == list(SCRIPT)


def test_a_killed_run_goes_on_to_the_same_mean(tmp_path: Path) -> None:
    whole = run_fit(tmp_path / "whole", script=(*SCRIPT, 0.7), average_last=0.7)
    run_fit(tmp_path / "killed", (0.2, 0.9, math.nan), average_last=0.7)
    again = run_fit(tmp_path / "killed", script=(0.9, 0.1, 0.7), average_last=0.7)
    assert again.model.modes == [True] * 6, "two epochs were done, and weights taken in them"
    assert equal(weights(again.model), weights(whole.model))
    assert again.metrics["averaged"] == whole.metrics["averaged"] > 3


def test_examples_know_their_epoch_after_a_kill_too(tmp_path: Path) -> None:
    run_fit(tmp_path, (0.2, 0.9, math.nan))
    assert run_fit(tmp_path / "whole").epochs_seen == sorted([*range(EPOCHS)] * SIZE)
    assert run_fit(tmp_path, script=(0.05, 0.15)).epochs_seen == [2] * SIZE + [3] * SIZE


def test_matrices_decay_and_biases_and_norms_do_not(tmp_path: Path) -> None:
    run = run_fit(tmp_path, weight_decay=0.07)
    for decays in run.steps.decays:
        assert decays == {
            "encoder.linear.weight": 0.07, "encoder.linear.bias": 0.0, "encoder.norm.weight": 0.0,
            "encoder.norm.bias": 0.0, "head.weight": 0.07, "head.bias": 0.0,
        }  # fmt: skip


def norm_of(gradients: dict[str, torch.Tensor | None]) -> float:
    return math.sqrt(sum(float(g.square().sum()) for g in gradients.values() if g is not None))


def test_gradients_are_clipped_to_the_setting(tmp_path: Path) -> None:
    norms = [norm_of(g) for g in run_fit(tmp_path / "a", max_grad_norm=0.3).steps.gradients]
    assert norms == pytest.approx([0.3] * STEPS, rel=1e-3)  # the loss is far above: each step is clipped
    assert min(norm_of(g) for g in run_fit(tmp_path / "b", max_grad_norm=1e6).steps.gradients) > 1.0


def test_accumulated_batches_make_one_update(tmp_path: Path) -> None:
    run = run_fit(tmp_path, gradient_accumulation=3)
    assert len(run.steps.rates) == EPOCHS
    assert len(run.model.modes) == STEPS
    assert [sorted(chain(*run.model.seen[i : i + 3])) for i in range(0, STEPS, 3)] == [list(range(1, 13))] * EPOCHS


def test_accumulation_has_the_gradient_of_the_whole_batch(tmp_path: Path) -> None:
    """The first update of 8 sentences, and of twice 4: transformers' taggers take keyword arguments they ignore."""
    folder = make_encoder(tmp_path / "e")
    labels = ["O", *(f"{prefix}-{type_}" for type_ in ("PER", "ORG", "LOC") for prefix in "BI")]
    items = [(words[:6], tags[:6]) for words, tags in sentences("news", 8)]
    tokens, tags = [words for words, _ in items], [tags for _, tags in items]
    found = []
    for batch_size, accumulation in ((8, 1), (4, 2)):
        prepare_torch(1, CPU)
        model = checkpoint.load_tagger(folder, labels, "carry")
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        examples, _ = tag_examples(checkpoint.piece_encoder(folder), tokens, tags, labels, 32, 8)
        settings = Training(
            learning_rate=0.01, epochs=1, batch_size=batch_size, gradient_accumulation=accumulation, max_grad_norm=1e9
        )
        gradients: list[torch.Tensor] = []

        def before_step(*_: Any, model: nn.Module = model, gradients: list[torch.Tensor] = gradients) -> None:
            gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))

        hook = register_optimizer_step_pre_hook(before_step)
        try:
            keep = keep_in(tmp_path / str(accumulation))
            fit(
                model, examples, lambda b: pad(b, {"labels": IGNORED}), lambda _: {"score": 0.0}, settings, keep, 1, CPU
            )
        finally:
            hook.remove()
        assert len(gradients) == 1
        found.append(gradients[0])
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=1e-6)


def test_a_frozen_encoder_waits_for_its_share_of_the_steps(tmp_path: Path) -> None:
    run = run_fit(tmp_path, freeze=0.4)
    waits = math.ceil(0.4 * STEPS)
    for step, gradients in enumerate(run.steps.gradients):
        for name, gradient in gradients.items():
            learns = name.startswith("head.") or step >= waits
            assert (gradient is not None and bool(gradient.any())) == learns, (step, name)
    start = run_fit(tmp_path / "other", freeze=0.99, script=(0.1, 0.2, 0.3, 0.4)).after_epoch
    inside = [name for name in start[0] if name.startswith("encoder.")]
    assert all(torch.equal(start[0][name], start[2][name]) for name in inside)
    assert not torch.equal(start[0]["head.weight"], start[2]["head.weight"])


def test_the_order_of_examples_is_the_seeds(tmp_path: Path) -> None:
    first, again, other = (run_fit(tmp_path / str(i), seed=seed) for i, seed in enumerate((5, 5, 6)))
    assert first.model.seen == again.model.seen
    assert equal(weights(first.model), weights(again.model))
    assert first.model.seen != other.model.seen
    for epoch in range(EPOCHS):
        rows = first.model.seen[epoch * 3 : epoch * 3 + 3]
        assert sorted(chain(*rows)) == list(range(1, SIZE + 1))


class Lengths(nn.Module):
    """Notes how many pieces each example of a batch has."""

    base_model_prefix = "encoder"

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 1)
        self.batches: list[list[int]] = []

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
        self.batches.append(attention_mask.sum(1).tolist())
        return {"loss": self.head(input_ids.float().mean().reshape(1)).square().sum()}


def test_batches_hold_examples_of_like_length(tmp_path: Path) -> None:
    """Else most of a batch is padding; no example is built to see how long it is."""
    sizes = [3, 40] * 200
    built: list[int] = []

    def make(i: int) -> Features:
        built.append(i)
        return {"input_ids": np.ones(sizes[i], np.int32)}

    prepare_torch(1, CPU)
    model = Lengths()
    settings = Training(learning_rate=0.01, epochs=1, batch_size=4)
    examples = Examples(len(sizes), make, sizes)
    fit(model, examples, lambda b: pad(b, {}), lambda _: {"score": 0.0}, settings, keep_in(tmp_path), 1, CPU)
    assert len(model.batches) == 100
    assert sum(len(set(batch)) > 1 for batch in model.batches) <= 6  # one in each part that the sampler sorts
    assert sorted(built) == list(range(len(sizes)))


@pytest.mark.parametrize("script", [(0.2, 0.9, math.nan), (0.2, 0.1, math.nan)])
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path, script: tuple[float, ...]) -> None:
    whole = run_fit(tmp_path / "whole", script=(*script[:2], 0.05, 0.15))
    run_fit(tmp_path / "killed", script)
    stored = sorted(p.name for p in (tmp_path / "killed" / "state").iterdir() if p.name.startswith("checkpoint-"))
    assert "checkpoint-6" in stored
    again = run_fit(tmp_path / "killed", script=(0.05, 0.15))
    assert again.model.modes == [True] * 6  # two epochs of four were done
    assert equal(again.after_epoch[-1], whole.after_epoch[-1])
    assert equal(weights(again.model), weights(whole.model))
    assert again.metrics["best_epoch"] == whole.metrics["best_epoch"]
    assert again.metrics["score"] == whole.metrics["score"]


def test_the_curves_are_those_of_the_whole_run_after_a_kill_too(tmp_path: Path) -> None:
    run_fit(tmp_path / "a", (0.2, 0.9, math.nan))
    again = run_fit(tmp_path / "a", script=(0.05, 0.15))
    assert again.history["score"] == [[1.0, 0.2], [2.0, 0.9], [3.0, 0.05], [4.0, 0.15]]
    assert again.history["steps"] == STEPS
    seen = SIZE * 2  # two epochs of four were done
    assert again.history["examples_per_second"] * again.history["seconds"] == pytest.approx(seen)


def test_losses_are_told_by_step(tmp_path: Path) -> None:
    """84 steps, told every 2: each the mean of its steps' own losses."""
    run = run_fit(tmp_path, script=(0.5,) * 28, epochs=28)
    losses = run.model.losses
    assert len(losses) == 84
    assert [step for step, _ in run.history["loss"]] == list(range(2, 85, 2))
    expected = [np.mean(losses[i : i + 2]) for i in range(0, 84, 2)]
    assert [loss for _, loss in run.history["loss"]] == pytest.approx(expected, rel=1e-5)
    assert run.history["examples_per_second"] * run.history["seconds"] == pytest.approx(SIZE * 28)


def test_the_last_state_is_not_kept(tmp_path: Path) -> None:
    run_fit(tmp_path)
    kept = {file.path.split("/")[0] for file in storage.list_files(str(tmp_path / "state"))}
    assert f"checkpoint-{STEPS // 2}" in kept
    assert f"checkpoint-{STEPS}" not in kept


def test_the_newest_state_is_taken(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for step in (2, 9, 10):
        folder = tmp_path / "made" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        best = "/gone/trainer/checkpoint-2"
        (folder / "trainer_state.json").write_text(f'{{"best_model_checkpoint": "{best}", "global_step": {step}}}')
        storage.store_folder(folder, str(state / folder.name))
    (state / "checkpoint-30").mkdir()  # half written
    found = restore_state(Keep("ner", tmp_path / "trainer", str(state)))
    assert found == str(tmp_path / "trainer" / "checkpoint-10")
    assert str(tmp_path / "trainer" / "checkpoint-2") in Path(found, "trainer_state.json").read_text()
    assert restore_state(Keep("ner", tmp_path / "empty", str(tmp_path / "none"))) is None


def test_the_number_of_threads_is_the_plans_and_not_the_machines() -> None:
    try:
        for threads in (3, 1):
            prepare_torch(1, CPU.model_copy(update={"threads": threads}))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(CPU.threads)


@pytest.mark.parametrize(
    ("there", "bf16", "precision", "message"),
    [
        (False, False, "fp32", "GPU: found none that torch can use"),
        (
            True,
            False,
            "bf16",
            "Old GPU: found no bf16 arithmetic; expected a GPU that has it; set compute.p",
        ),
        (True, False, "fp32", ""),
        (True, True, "bf16", ""),
    ],
)
def test_no_other_machine_than_the_planned_one_trains(
    monkeypatch: pytest.MonkeyPatch, there: bool, bf16: bool, precision: Literal["fp32", "bf16"], message: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bf16 or including_emulation)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Old GPU")
    gpu = Machine(device="cuda", threads=0, precision=precision)
    if message:
        with pytest.raises(BadSettings, match=message):
            prepare_torch(1, gpu)
    else:
        prepare_torch(1, gpu)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("a run planned for CPUs asks for no GPU"))
    prepare_torch(1, CPU)


def test_precision_is_the_plans(tmp_path: Path) -> None:
    """bf16 keeps 8 bits of a product: the weights differ, by little."""
    seen: list[bool] = []

    class Watched(Tiny):
        def forward(self, *args: Any, **more: Any) -> Any:
            seen.append(torch.is_autocast_enabled("cpu"))
            return super().forward(*args, **more)

    for precision in ("fp32", "bf16"):
        machine = CPU.model_copy(update={"precision": precision})
        prepare_torch(1, machine)
        examples = Examples(SIZE, lambda i: {"input_ids": np.array([i, 1, 1, 1])}, [4] * SIZE)
        settings = Training(learning_rate=0.01, epochs=1, batch_size=BATCH)
        keep = keep_in(tmp_path / precision)
        fit(Watched(), examples, lambda b: pad(b, {}), lambda _: {"score": 0.0}, settings, keep, 1, machine)
        assert set(seen) == {precision == "bf16"}
        seen.clear()


def test_seed_of_the_weights() -> None:
    drawn = []
    for _ in range(2):
        prepare_torch(77, CPU)
        drawn.append((torch.rand(3), np.random.rand(3)))
    torch.manual_seed(77)
    assert torch.equal(drawn[0][0], torch.rand(3))
    assert torch.equal(drawn[0][0], drawn[1][0])
    assert (drawn[0][1] == drawn[1][1]).all()


MKL_MODE = """
import torch
from tofner.settings import Machine
from tofner.training.fit import prepare_torch
prepare_torch(1, Machine(device="cpu", threads=2, precision="fp32"))
with torch.backends.mkl.verbose(1):
    torch.ones(40, 40) @ torch.ones(40, 40)
"""


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="torch without MKL")
@pytest.mark.parametrize(("given", "expected"), [({}, "CNR:AUTO Dyn:0"), ({"MKL_CBWR": "COMPATIBLE"}, "CNR:COMP")])
def test_products_are_equal_from_run_to_run(given: dict[str, str], expected: str) -> None:
    """MKL's own trace of a product tells its reproducibility mode and whether it may change the number of threads."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MKL_")}
    command = [sys.executable, "-c", MKL_MODE]
    traced = subprocess.run(command, env=clean | given, capture_output=True, text=True, check=True)
    (product,) = [line for line in traced.stdout.splitlines() if "SGEMM" in line]
    assert expected in product


def test_padding_is_torchs(tmp_path: Path) -> None:
    rows: list[Features] = [{"input_ids": np.arange(1, n + 1), "labels": np.arange(n)} for n in (3, 1, 4)]
    found = pad(rows, {"labels": IGNORED})
    for name, fill in (("input_ids", 0), ("labels", IGNORED)):
        tensors = [torch.from_numpy(row[name]) for row in rows]
        expected = nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=fill)
        assert torch.equal(found[name], expected)
    assert found["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]]
