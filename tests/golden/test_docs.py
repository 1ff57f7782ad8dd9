"""Pages that are made from the code are those that the code makes."""

import inspect
import sys
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def maker(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(DOCS))
    sys.modules.pop(name, None)
    return __import__(name)


@pytest.mark.parametrize("name", ["components", "settings"])
def test_golden(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = maker(f"make_{name}", monkeypatch).page()
    assert made == (DOCS / f"{name}.md").read_text(encoding="utf-8"), "`make golden` writes it anew"


def test_every_component_is_told_with_all_that_it_takes_and_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    module = maker("make_components", monkeypatch)
    modules = {path.stem for path in (DOCS.parent / "components").glob("*.py")}
    assert {one.component_spec.name.replace("-", "_") for one in module.COMPONENTS} == modules - {
        "__init__", "artifacts", "images", "stage",
    }  # fmt: skip
    for component in module.COMPONENTS:
        function = component.pipeline_func if hasattr(component, "pipeline_func") else component.python_func
        section = module.section(component)
        rows = [line.split("|") for line in section.splitlines() if line.startswith(("| input", "| artifact"))]
        assert {cells[2].strip(" `") for cells in rows} == set(inspect.signature(function).parameters)
        first = " ".join(inspect.getdoc(function).partition("\n\n")[0].split())  # type: ignore[union-attr]
        assert section.splitlines()[3] == first
