"""Dockerfiles, build context and manifests, read as text: what must hold before anything is built or applied."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.kustomize import documents, kustomize
from tofner_kubeflow.pipelines.cluster import CONFIG_KEYS, Cluster, Secret

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
BASE = ROOT / "k8s" / "base"
NOT_IN_THE_TAGGER = {"torch", "transformers", "accelerate", "datasets", "kfp", "kfp-kubernetes", "seqeval", "onnx"}
each_dockerfile = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.stem)


@dataclass(frozen=True)
class Step:
    """One instruction; `stage` counts from 0."""

    stage: int
    name: str
    text: str


def steps(path: Path) -> list[Step]:
    """Instructions of a Dockerfile, their lines joined, comments left out; stage -1 is before the first FROM."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    found: list[Step] = []
    stage = -1
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if line.strip():
            name, _, text = line.strip().partition(" ")
            stage += name == "FROM"
            found.append(Step(stage, name, " ".join(text.split())))
    return found


def texts(path: Path, name: str) -> list[str]:
    return [step.text for step in steps(path) if step.name == name]


def installs(path: Path) -> list[str]:
    """Every `pip install` of a Dockerfile."""
    return [part for run in texts(path, "RUN") for part in run.split("&&") if " install " in part and " pip " in part]


def requirements(path: Path) -> set[str]:
    """Distributions that the image gets by name, as the build itself works them out."""
    (extras,) = re.findall(r"python3 requirements\.py ([a-z ]+) > requirements\.txt", " ".join(texts(path, "RUN")))
    command = [sys.executable, str(ROOT / "docker" / "requirements.py"), *extras.split()]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    return {canonical(re.split(r"[<>=!~ ;\[]", line)[0]) for line in listed if line}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned() -> set[str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {canonical(line.partition("==")[0]) for line in lines if not line.startswith("#")}


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path out: the last pattern that fits it, or a folder above it, decides."""
    parts = path.split("/")
    above = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    out = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.strip().removeprefix("!")
        if pattern and not pattern.startswith("#"):
            anywhere = pattern.startswith("**/")
            names = parts if anywhere else above
            wanted = pattern.removeprefix("**/")
            if any(fnmatch(name, wanted) and (anywhere or name.count("/") == wanted.count("/")) for name in names):
                out = not line.startswith("!")
    return out


def test_there_are_two_images() -> None:
    assert [path.name for path in DOCKERFILES] == ["tagger.Dockerfile", "trainer.Dockerfile"]


@each_dockerfile
def test_runs_as_a_numbered_user_that_is_not_root(path: Path) -> None:
    all_steps = steps(path)
    final = [step for step in all_steps if step.stage == all_steps[-1].stage]
    user = [step.text for step in final if step.name == "USER"][-1]
    assert re.fullmatch(r"[1-9]\d*(:\d+)?", user), f"USER {user}: runAsNonRoot can only judge a number other than 0"
    after = final[[step.name for step in final].index("USER") :]
    assert not [step for step in after if step.name in {"RUN", "COPY", "ADD"}]


@each_dockerfile
def test_the_base_is_a_build_argument(path: Path) -> None:
    first = steps(path)[0]
    assert (first.name, first.text) == ("ARG", "BASE=python:3.11-slim-bookworm")
    stages = [text.partition(" AS ") for text in texts(path, "FROM")]
    assert all(base == "${BASE}" or base in {name for _, _, name in stages} for base, _, _ in stages)


@each_dockerfile
def test_builds_with_every_builder(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "syntax=" not in text, "a syntax line fetches a front end from a registry"
    assert "<<" not in text, "the builder of Docker 20.10 knows no heredoc"
    assert "--mount" not in text, "needs BuildKit"


@each_dockerfile
def test_installs_what_the_constraints_pin_and_keeps_no_cache(path: Path) -> None:
    commands = installs(path)
    assert len(commands) >= 2
    for command in commands:
        assert "-c constraints.txt" in command, command
        assert "--no-cache-dir" in command, command
    assert requirements(path) <= pinned()


@each_dockerfile
def test_holds_no_secret_and_says_what_it_is(path: Path) -> None:
    values = [text for name in ("ARG", "ENV") for text in texts(path, name)]
    assert not re.search(r"(?i)(secret|password|token|access_key)", " ".join(values))
    (labels,) = texts(path, "LABEL")
    assert 'org.opencontainers.image.revision="${REVISION}"' in labels
    assert f'org.opencontainers.image.title="tofner-{path.stem}"' in labels


def test_the_tagger_has_no_training_library() -> None:
    found = requirements(ROOT / "docker" / "tagger.Dockerfile")
    assert {"onnxruntime", "tokenizers", "uvicorn"} <= found
    assert not found & NOT_IN_THE_TAGGER


def third_party_imports() -> Iterator[tuple[str, str]]:
    """(file, package) of every import in what the trainer runs."""
    for folder in ("components", "pipelines", "src/tofner"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "tagging" in path.relative_to(ROOT).parts:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names = [node.module]
                for name in names:
                    top = name.partition(".")[0]
                    if top not in sys.stdlib_module_names | {"tofner", "tofner_kubeflow"}:
                        yield path.relative_to(ROOT).as_posix(), top


def test_the_trainer_has_what_the_stages_import() -> None:
    providers = metadata.packages_distributions()
    installed = requirements(ROOT / "docker" / "trainer.Dockerfile")
    # These belong to what is required: botocore and urllib3 to boto3, huggingface_hub to transformers, markupsafe to
    # jinja2.
    installed |= {"botocore", "urllib3", "huggingface-hub", "markupsafe"}
    missing = [
        f"{file}: {package}"
        for file, package in third_party_imports()
        if not {canonical(name) for name in providers.get(package, [package])} & installed
    ]
    assert missing == []


def test_an_unknown_extra_ends_the_build() -> None:
    command = [sys.executable, str(ROOT / "docker" / "requirements.py"), "trian"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "no extra 'trian'" in done.stderr


@each_dockerfile
def test_the_build_context_holds_what_is_copied(path: Path) -> None:
    sources = [word for text in texts(path, "COPY") if "--from" not in text for word in text.split()[:-1]]
    assert {"src", "components", "pipelines", "pyproject.toml", "constraints.txt", "README.md"} <= set(sources)
    for source in sources:
        assert not ignored(source), source
    assert not ignored("src/tofner/presets/wnut16.yaml")
    assert not ignored("docker/wheels/torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl")


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        ".tofner/store/keys.json",
        ".env",
        "data/ner/set/train.conll",
        "build/tof.yaml",
        "k8s/base/secret.env",
        "tests/conftest.py",
        "src/tofner.egg-info/PKG-INFO",
        "src/.mypy_cache/3.11/os.data.json",
        "src/tofner/__pycache__/cli.cpython-311.pyc",
    ],
)
def test_the_build_context_leaves_out(path: str) -> None:
    assert ignored(path)


def test_docker_folder_cannot_be_imported_in_an_image() -> None:
    """`kfp.local` tries `import docker`; the checkout's folder of that name must not stand in for the library."""
    for path in DOCKERFILES:
        final = steps(path)[-1].stage
        assert not [s for s in steps(path) if s.stage == final and s.name == "COPY" and "--from" not in s.text]
        assert [s.text for s in steps(path) if s.stage == final and s.name == "WORKDIR"] == ["/home/tofner"]


# Manifests


def kustomization() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((BASE / "kustomization.yaml").read_text(encoding="utf-8"))
    return loaded


SECRET_KEYS = (Secret().access_key, Secret().secret_key, Secret().session_token)


def example_keys(name: str) -> list[str]:
    """Keys that an example file offers, those behind a comment sign too."""
    return re.findall(r"(?m)^#?([A-Z][A-Z0-9_]+)=", (BASE / name).read_text(encoding="utf-8"))


def test_the_base_makes_what_compiled_pipelines_name() -> None:
    made = kustomization()
    cluster = Cluster(revision="any")
    assert [item["name"] for item in made["secretGenerator"]] == [cluster.secret.name]
    assert [item["name"] for item in made["configMapGenerator"]] == [cluster.config_map]
    assert made["generatorOptions"]["disableNameSuffixHash"] is True
    assert sorted(example_keys("secret.env.example")) == sorted(SECRET_KEYS)
    assert sorted(example_keys("config.env.example")) == sorted(CONFIG_KEYS)


def test_no_key_is_in_the_repository() -> None:
    assert "*.env" in (BASE / ".gitignore").read_text(encoding="utf-8").split()
    text = (BASE / "secret.env.example").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^#?[A-Z0-9_]+=(.*)$", text) == [""] * len(SECRET_KEYS)
    manifests = [path for path in (ROOT / "k8s").rglob("*.yaml") if re.search(r"(?m)^kind: Secret$", path.read_text())]
    assert manifests == []


@pytest.mark.parametrize("keys", [True, False], ids=["keys", "own identity"])
def test_the_base_renders(tmp_path: Path, keys: bool) -> None:
    folder = Path(shutil.copytree(BASE, tmp_path / "base"))
    shutil.copy(folder / "config.env.example", folder / "config.env")
    (folder / "secret.env").write_text("AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=b\n" if keys else "")
    done = kustomize(folder)
    rendered = {document["kind"]: document for document in documents(done.stdout)}
    assert set(rendered) == {"ConfigMap", "Secret"}
    assert not done.stderr
    assert set(rendered["ConfigMap"]["data"]) == {"S3_ENDPOINT_URL", "AWS_REGION"}
    assert len(rendered["Secret"].get("data") or {}) == (2 if keys else 0)
    for document in rendered.values():
        assert document["metadata"]["name"] == "tofner-s3"
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
