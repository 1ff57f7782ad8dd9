"""Writes docs/settings.md from the typed models: `python docs/make_settings.py` (or `make golden`)."""

import inspect
from pathlib import Path

from pydantic import BaseModel

from tofner.begin.rules import choose
from tofner.presets.load import load_preset, preset_names
from tofner.settings import Settings, known_keys
from tofner_kubeflow.pipelines.cluster import Cluster

PAGE = Path(__file__).with_name("settings.md")
PARAMETERS = f"""# Settings

Made from the typed models in `tofner.settings` by `make golden`; do not edit.

## Run parameters

| parameter | default | meaning |
|---|---|---|
| `preset` | `sample` | one of {", ".join(f"`{name}`" for name in preset_names())}, or a YAML file of your own |
| `data` | generated, for `sample` | data root: folder or `s3://` prefix (docs/data-formats.md) |
| `encoder` | the preset's | Hub id (`name` or `name@revision`), local folder, or `s3://` prefix |
| `iterations` | 1 | T of Algorithm 1; in Kubeflow at most what the graph was compiled for. Source: paper, Appendix B |
| `mlm_stage`, `mrc_stage`, `pseudo`, `order` | `preset` | Kubeflow's menus for `use.*` below: `on`, `off`, an order |
| `seed` | 2019 | of everything random; several with `--seeds` (docs/runs.md). Source: paper, Appendix B |
| `overrides`, `--set` | none | `key=value`, keys as below; `stages.*.key=value` for all its stages |
| `model_name` | `tofner-PRESET` | name to publish under |

## Settings of a preset

Unknown keys are refused, and the nearest known one is named.

"""


CHOSEN = """
## What `tofner init` chooses

From plain text and a labelled corpus it makes a preset whose settings follow from the sizes of the corpora and from the
machine. Each is a line of the preset, and may be changed there.

"""
PROFILES_HEAD = """
## Profiles of clusters

What `tofner compile` is told of a cluster: `--profile gpu`, `--profile cpu` or a YAML file of these keys, and `--set
key=value`.

"""


def table(model: type[BaseModel]) -> list[str]:
    """A row for each key of a settings type."""
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, field in known_keys(model):
        default = "required" if field.is_required() else f"`{field.get_default(call_default_factory=True)}`"
        kind = field.annotation.__name__ if isinstance(field.annotation, type) else str(field.annotation)
        kind = "list" if "list" in kind else kind.replace("typing.", "").replace("|", "or")
        meaning = (field.description or "").replace("|", "\\|")
        rows.append(f"| `{key}` | {kind} | {default} | {meaning} |")
    return rows


def page() -> str:
    presets = [
        "",
        "## Presets",
        "",
        "| preset | what | encoder | rates: mrc, ner, pseudo, loop mrc, loop ner |",
        "|---|---|---|---|",
    ]
    for name in preset_names():
        one: Settings = load_preset(name)
        s = one.stages
        rates = ", ".join(f"{t.learning_rate:g}" for t in (s.mrc, s.ner, s.pseudo_ner, s.loop_mrc, s.loop_ner))
        presets.append(f"| `{name}` | {one.description} | `{one.encoder}` | {rates} |")
    profiles = PROFILES_HEAD + "\n".join(table(Cluster)) + "\n"
    return PARAMETERS + "\n".join([*table(Settings), *presets]) + "\n" + CHOSEN + rules() + profiles


def rules() -> str:
    """The rules of `tofner init`, from the function that applies them."""
    text = inspect.getdoc(choose) or ""
    return text.partition("\n\n")[2] + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
