"""The project's images for tests: built, run and looked through."""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BASE = os.environ.get("TOFNER_TEST_BASE", "python:3.11-slim-bookworm")
REVISION = "test"


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=check, cwd=ROOT)


def build(name: str, base: str, context: Path = ROOT, revision: str = REVISION) -> str:
    image = f"tofner-{name}:{revision}"
    given = {"BASE": base, "REVISION": revision} | ({"TORCH_BUILD": "cpu"} if name == "trainer" else {})
    options = [word for key, value in given.items() for word in ("--build-arg", f"{key}={value}")]
    file = context / "docker" / f"{name}.Dockerfile"
    built = docker("build", "-f", str(file), "-t", image, *options, str(context), check=False)
    assert built.returncode == 0, (built.stdout + built.stderr)[-3000:]
    return image


def layers(image: str) -> Iterator[tuple[str, str, bytes]]:
    """(layer, file, content) of every file in every layer of an image, and its configuration as `config`."""
    with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saving:
        assert saving.stdout
        with tarfile.open(fileobj=saving.stdout, mode="r|") as outer:
            for member in outer:
                if not member.isfile():
                    continue
                found = outer.extractfile(member)
                assert found
                content = found.read()
                if member.name.endswith(".json") or not tarfile.is_tarfile(io.BytesIO(content)):
                    yield "config", member.name, content
                    continue
                with tarfile.open(fileobj=io.BytesIO(content)) as inner:
                    for file in inner:
                        if file.isfile():
                            part = inner.extractfile(file)
                            assert part
                            yield member.name, file.name, part.read()
