"""From plain text and a labelled corpus to a tagger: `tofner init`, and the two commands that it tells."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny_encoder import conll, make_encoder, sentences

pytestmark = pytest.mark.e2e


def tofner(*arguments: str, cwd: Path) -> str:
    """Runs the installed command without the caller's storage settings; returns what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_"))}
    command = [sys.executable, "-m", "tofner.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=cwd)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_what_init_says_to_type_checks_and_trains(tmp_path: Path) -> None:
    make_encoder(tmp_path / "encoder")
    own = tmp_path / "own"
    own.mkdir()
    (own / "news.conll").write_text(conll(sentences("news", 60)))
    (own / "posts.txt").write_text("".join(" ".join(words) + "\n" for words, _ in sentences("posts", 30)))
    said = tofner("init", "own", "--encoder", str(tmp_path / "encoder"), cwd=tmp_path)
    check, run = (shlex.split(line)[1:] for line in re.findall(r"^  (tofner .*)$", said, re.MULTILINE))
    assert "No problems" in tofner(*check, cwd=tmp_path)
    shown = tofner(*run, "--set", "stages.mlm.epochs=1", "--set", "stages.export.int8=false", cwd=tmp_path)
    assert "The tagger was not measured" in shown
    assert "name them as roles.target_test" in shown
    out = tmp_path / ".tofner/out"
    types = {label[2:] for label in json.loads((out / "model/labels.json").read_text())["labels"] if label != "O"}
    assert types == {"PER", "ORG", "LOC"}
    again = tofner("tag", str(out / "model"), "Tom flew to Oslo .", "--json", cwd=tmp_path)
    assert json.loads(again)["text"] == "Tom flew to Oslo ."
