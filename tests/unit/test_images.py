"""Dockerfiles, build context and manifests, read as text: what must hold before anything is built or applied."""

import ast
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from packaging.requirements import Requirement

from tests.kustomize import documents, kustomize
from tests.light import closure
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
    said = dict(re.findall(r'org\.opencontainers\.image\.([a-z.]+)="([^"]*)"', labels))
    assert said.pop("description")
    assert said == {
        "title": f"tofner-{path.stem}",
        "licenses": "Apache-2.0",
        "version": "${VERSION}",
        "source": "${SOURCE}",
        "base.name": "${BASE}",
        "revision": "${REVISION}",
    }
    final = steps(path)[-1].stage  # an argument is known in the stage that declares it
    declared = {step.text.partition("=")[0] for step in steps(path) if step.stage == final and step.name == "ARG"}
    assert {"VERSION", "SOURCE", "BASE", "REVISION"} <= declared


@each_dockerfile
def test_the_image_lists_what_is_in_it(path: Path) -> None:
    """Made by the tool that is pinned, of the environment with the project in it, and copied to the last stage."""
    pins = (ROOT / "docker" / "sbom.txt").read_text(encoding="utf-8").splitlines()[1:]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    assert "cyclonedx-bom" in {pin.partition("==")[0] for pin in pins}
    assert not {canonical(pin.partition("==")[0]) for pin in pins} & pinned()
    (made,) = [step for step in steps(path) if "cyclonedx-py" in step.text]
    assert made.text.endswith("/opt/tofner/bin/python")
    copied = [step.text for step in steps(path) if step.stage == made.stage and step.name == "COPY"]
    assert "--from=code /opt/code /opt/tofner" in copied
    last = [step.text for step in steps(path) if step.stage == steps(path)[-1].stage and step.name == "COPY"]
    assert "--from=inventory /opt/sbom.cdx.json /usr/share/tofner/sbom.cdx.json" in last


def torch_requirement(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "docker" / "requirements.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("build", "fits", "other"),
    [("cpu", "2.13.0+cpu", "2.13.0"), ("cuda", "2.13.0", "2.13.0+cpu"), ("cu130", "2.13.0+cu130", "2.13.0")],
)
def test_the_build_of_torch_is_the_one_that_was_asked_for(build: str, fits: str, other: str) -> None:
    (line,) = torch_requirement(f"torch={build}").stdout.splitlines()
    wanted = Requirement(line)
    assert wanted.name == "torch"
    assert wanted.specifier.contains(fits)
    assert not wanted.specifier.contains(other)
    assert f"torch=={fits.partition('+')[0]}" in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()


def test_a_build_that_cannot_be_is_refused() -> None:
    done = torch_requirement("torch=cpu; rm")
    assert done.returncode != 0
    assert "expected cuda, cpu" in done.stderr


def test_the_trainer_installs_torch_by_itself_before_the_rest() -> None:
    path = ROOT / "docker" / "trainer.Dockerfile"
    (torch,) = [i for i, command in enumerate(installs(path)) if command.rstrip().endswith("-r torch.txt")]
    (rest,) = [i for i, command in enumerate(installs(path)) if command.rstrip().endswith("-r requirements.txt")]
    assert torch < rest
    assert "--no-deps" in installs(path)[torch]


def slim() -> Any:
    """docker/slim.py as a module."""
    spec = importlib.util.spec_from_file_location("slim", ROOT / "docker" / "slim.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["slim"] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


def test_what_only_the_hub_needs_is_what_tokenizers_alone_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that the tagger would lose if `tokenizers` required nothing, and no more."""
    everything = closure(["serve"])
    theirs = metadata.requires
    monkeypatch.setattr(metadata, "requires", lambda name: [] if name == "tokenizers" else theirs(name))
    assert {canonical(name) for name in slim().HUB} == everything - closure(["serve"])


def test_slimming_takes_what_its_rules_name_and_leaves_the_rest(tmp_path: Path) -> None:
    gone = [
        "numpy/linalg/tests/test_linalg.py",
        "numpy/random/lib/libnpyrandom.a",
        "torch/test/big.bin",
        "torch/bin/test_api",
        "torch/include/c10/util.h",
        "pyarrow/libarrow_flight.so.2600",
        "pyarrow/_flight.cpython-311-x86_64-linux-gnu.so",
        "pyarrow/libarrow_python.so",
        "pyarrow/libarrow_python.so.2600.1.0",
        "onnxruntime/capi/libonnxruntime.so.1.32.0",
        "zstandard/_cffi.cpython-311-x86_64-linux-gnu.so",
        "zstandard/backend_cffi.py",
        "zstandard/__pycache__/backend_cffi.cpython-311.pyc",
        "botocore/data/ec2/2016-11-15/service-2.json.gz",
        "pygments/lexers/ada.py",
        "transformers/models/bart/__pycache__/modeling_bart.cpython-311.pyc",
    ]
    stays = [
        "numpy/testing/__init__.py",
        "torch/bin/torch_shm_manager",
        "torch/testing/__init__.py",
        "pyarrow/libarrow_python.so.2600",
        "pyarrow/libarrow.so.2600",
        "onnxruntime/capi/onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so",
        "zstandard/backend_c.cpython-311-x86_64-linux-gnu.so",
        "botocore/data/s3/2006-03-01/service-2.json.gz",
        "botocore/data/sts/2011-06-15/service-2.json.gz",
        "botocore/data/endpoints.json",
        "pygments/lexers/python.py",
        "transformers/models/bart/modeling_bart.py",
        "torch-2.13.0.dist-info/licenses/LICENSE",
    ]
    for name in gone + stays:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert slim().main([str(tmp_path)]) == 0
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(stays)


def test_a_removed_distribution_leaves_no_folder_and_no_record(tmp_path: Path) -> None:
    record = "one/__init__.py,,\none/part/code.py,,\none-1.0.dist-info/METADATA,,\none-1.0.dist-info/RECORD,,\n"
    files = {
        "one/__init__.py": "",
        "one/part/code.py": "x = 1",
        "one-1.0.dist-info/METADATA": "Name: one\nVersion: 1.0\n",
        "one-1.0.dist-info/RECORD": record,
        "other/__init__.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert slim().uninstall(tmp_path, "one") > len(record)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


LOADS_EVERYTHING = """
import importlib, json, pkgutil, sys
import tofner
for module in pkgutil.walk_packages(tofner.__path__, "tofner."):
    importlib.import_module(module.name)
exec("from numpy import *")
for name in ("boto3.session", "pyarrow.fs", "pyarrow.dataset", "transformers.models.bert.modeling_bert", "kfp.dsl"):
    importlib.import_module(name)
boto3.session.Session().client("s3", region_name="us-east-1")
print(json.dumps(sorted({m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)})))
"""


@pytest.mark.slow
def test_no_rule_takes_a_module_that_the_project_loads() -> None:
    """Against the libraries as they are installed here, without a container."""
    rules = slim()
    root = Path(sysconfig.get_path("purelib"))
    taken = {path for rule in rules.RULES for path in rules.matching(root, rule)}
    assert len(taken) > 1000
    command = [sys.executable, "-c", "import boto3\n" + LOADS_EVERYTHING]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {Path(file) for file in json.loads(done.stdout.splitlines()[-1])}
    assert len(loaded) > 2000
    missed = {path.name.partition(".")[0] for path in loaded if {path, *path.parents} & taken}
    assert missed == {"_s3fs"}  # pyarrow.fs loads it where it is there


def test_the_licence_is_the_one_that_is_named() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"])


def test_the_tagger_has_no_training_library() -> None:
    found = requirements(ROOT / "docker" / "tagger.Dockerfile")
    assert {"onnxruntime", "tokenizers", "uvicorn"} <= found
    assert not found & NOT_IN_THE_TAGGER


def third_party_imports() -> Iterator[tuple[str, str]]:
    """(file, package) of every import in what the trainer runs."""
    for folder in ("components", "pipelines", "src/tofner"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "tagging" in path.relative_to(ROOT).parts or path.name == "docbin.py":  # spaCy's files: no stage's
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
    assert {"src", "components", "pipelines", "pyproject.toml", "constraints.txt", "README.md", "LICENSE"} <= set(
        sources
    )
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
