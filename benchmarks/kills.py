"""Signals and kills at random moments of every command: what is left, and whether the same command still ends well.

    python benchmarks/kills.py [--each 10] [--signals TERM INT KILL] [--commands tag serve run] [--seed 0]

Each command is started, hit at a drawn moment, and looked at: exit code, lines of message, processes and temporary
folders that are left. Then it is started again, and hit again, until all signals are spent; at last it is left alone,
its result is compared with that of one that nobody disturbed, and its temporary folder must be empty. A moment is drawn
from the time that the undisturbed command took (from less, where one ended before its moment came), from the first line
of the program on. Prints a table; exits 0 if all is as docs/faults.md says.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from tofner import storage
from tofner.storage import BUCKET, LocalStore

SIGNALS = {"TERM": signal.SIGTERM, "INT": signal.SIGINT, "KILL": signal.SIGKILL}
CODES = {"TERM": 75, "INT": 130, "KILL": -9}
MARK = "TOFNER_KILLS"  # environment variable by which what a command has started is known
GRACE_S = 20.0  # for children to end after their parent, on a busy machine


@dataclass
class Command:
    """A command line, and what it comes to.

    Attributes:
        env: beside this process's own.
        result: files that are compared in the end, by content.
        port: of a service, which does not end by itself and is asked instead.
    """

    name: str
    words: list[str]
    result: Path
    env: dict[str, str] = field(default_factory=dict)
    port: int = 0
    seconds: float = 0.0

    def start(self, scratch: Path) -> "subprocess.Popen[str]":
        told = {**os.environ, **self.env, MARK: str(scratch), "TMPDIR": str(scratch), "COLUMNS": "120"}
        return subprocess.Popen(
            self.words, env=told, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        )


def marked(scratch: Path) -> list[int]:
    """Processes that carry the mark of what was started with this scratch."""
    wanted, found = f"{MARK}={scratch}".encode(), []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            there = wanted in path.read_bytes().split(b"\0")
            state = (path.parent / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if there and state != "Z":
            found.append(int(path.parent.name))
    return found


def catches(pid: int) -> bool:
    """Whether a process has begun: it has its own handler of SIGTERM."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    mask = next((int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:")), 0)
    return bool(mask >> (signal.SIGTERM - 1) & 1)


def ask(port: int) -> str | None:
    """The answer of a service to one request; None while there is none."""
    body = json.dumps({"text": "Obama met Merkel in New York"}).encode()
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(f"http://127.0.0.1:{port}/tag", body), timeout=10) as answer:
            return str(answer.read().decode())
    except OSError:
        return None


def ended(command: Command, process: "subprocess.Popen[str]") -> str:
    """Wait for the command's own end; the digest of its result.

    Raises:
        RuntimeError: it failed.
    """
    if command.port:
        while (answer := ask(command.port)) is None and process.poll() is None:
            time.sleep(0.1)
        process.terminate()
        said = process.communicate(timeout=60)[1]
        if process.returncode or not answer:
            raise RuntimeError(f"{command.name}: {process.returncode} {said[-2000:]}")
        return hashlib.sha256(answer.encode()).hexdigest()
    said = process.communicate(timeout=600)[1]
    if process.returncode:
        raise RuntimeError(f"{command.name}: {process.returncode} {said[-2000:]}")
    total = hashlib.sha256()
    paths = [path for path in sorted(command.result.rglob("*")) if path.is_file() and path.name in COMPARED]
    for path in paths:
        total.update(path.name.encode() + path.read_bytes())
    if not paths:
        raise RuntimeError(f"{command.name}: no result in {command.result}")
    return total.hexdigest()


COMPARED = ("in.jsonl", "model.onnx", "labels.json", "model.safetensors")


@dataclass
class Counts:
    """What came of the signals to one command."""

    codes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    orphans: int = 0
    folders: int = 0
    lines: Counter[int] = field(default_factory=Counter)


def _close(reader: threading.Thread, process: "subprocess.Popen[str]") -> None:
    """Wait for what an ended command has said, and give its pipe back."""
    reader.join(GRACE_S)
    if process.stderr is not None and not reader.is_alive():
        process.stderr.close()


def hit(command: Command, name: str, wait_s: float, root: Path, counts: Counts) -> bool:
    """Start the command, send it a signal at a moment, and look; False if it had ended before."""
    scratch = Path(tempfile.mkdtemp(dir=root, prefix="scratch-"))
    process = command.start(scratch)
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.extend(process.stderr or ()), daemon=True)
    reader.start()
    while process.poll() is None and not catches(process.pid):
        time.sleep(0.005)
    began = time.monotonic()
    try:
        process.wait(wait_s)
        # The machine is not as busy any more, or there was little left to do.
        command.seconds = (command.seconds + time.monotonic() - began) / 2
    except subprocess.TimeoutExpired:
        serving = bool(command.port) and ask(command.port) is not None
        process.send_signal(SIGNALS[name])
        process.wait(120)
    else:
        _close(reader, process)
        return False
    _close(reader, process)
    if process.returncode == 0 and not command.port and not any(line.startswith("tofner:") for line in said):
        return False  # it came after the last word
    ends = time.monotonic() + GRACE_S
    while (left := marked(scratch)) and time.monotonic() < ends:
        time.sleep(0.05)
    counts.orphans += len(left)
    folders = [path.name for path in scratch.iterdir()]
    counts.folders += len(folders) if name != "KILL" else 0
    lines = [line for line in said if line.startswith("tofner:")]
    counts.lines[len(lines)] += 1
    codes = (CODES[name], 0) if command.port and name != "KILL" else (CODES[name],)
    counts.codes[f"{name} {process.returncode}"] += 1
    waited = time.monotonic() - ends + GRACE_S
    print(
        f"{command.name} {name} after {wait_s:.2f} s: {process.returncode}, {waited:.1f} s for children",
        file=sys.stderr,
    )
    good = process.returncode in codes and len(lines) == (process.returncode > 0) and not left
    if not good or "Traceback" in "".join(said) or (folders and name != "KILL"):
        about = (
            f"{command.name} {name} after {wait_s:.2f} s{' (serving)' if serving else ''}: code {process.returncode}"
        )
        counts.wrong.append(f"{about}, {len(left)} processes, folders {folders}, said {''.join(said)[-1500:]!r}")
    # The next one starts in what this one has left, as on a machine that goes on.
    for path in scratch.iterdir():
        path.rename(root / "tmp" / path.name)
    return True


def torture(command: Command, signals: list[str], root: Path, chance: random.Random, calm: str) -> Counts:
    """All the signals in turn, then the command left alone."""
    counts = Counts()
    (root / "tmp").mkdir(exist_ok=True)
    spent, early = 0, 0
    while spent < len(signals) and early < 2 * len(signals):
        if hit(command, signals[spent], chance.uniform(0, command.seconds), root, counts):
            spent += 1
        else:  # it had ended: what it has done is there, and it is done before the moment comes
            early += 1
            forget(command)
    found = ended(command, command.start(root / "tmp"))
    if found != calm:
        counts.wrong.append(f"{command.name}: another result than undisturbed")
    left = [path.name for path in (root / "tmp").iterdir()]
    if left:
        counts.wrong.append(f"{command.name}: the last one, left alone, has left {left}")
    if spent < len(signals):
        counts.wrong.append(f"{command.name}: {spent} of {len(signals)} signals hit it before it ended")
    return counts


def forget(command: Command) -> None:
    """Let the command have something to do again; a finished one only looks at what it has done."""
    done = command.result.parent if command.name == "run" else command.result
    if command.name != "serve":
        done.rename(done.with_name(f"done-{uuid.uuid4().hex}"))


def commands(root: Path, store: LocalStore, names: list[str]) -> Iterator[tuple[Command, str]]:
    """Each command, ready to be started in a folder of its own, and the digest of its undisturbed result."""
    from tests.tiny_encoder import make_data, make_encoder, make_preset
    from tests.tiny_tagger import publish_tiny

    python = [sys.executable, "-m", "tofner.cli"]
    model = publish_tiny(root / "model")
    if {"run", "step"} & set(names):
        make_data(root / "data")
        make_preset(root / "preset.yaml", make_encoder(root / "encoder"))
    for name in names:
        made = []
        for part in ("calm", "hurt"):
            home = root / name / part
            home.mkdir(parents=True)
            if name == "tag":
                rows = (json.dumps({"id": i, "text": f"Obama met Merkel {i} in New York"}) for i in range(15_000))
                (root / "in.jsonl").write_text("\n".join(rows))
                words = [*python, "tag", "--model", str(model), "--input", str(root / "in.jsonl"), "-q"]
                words += ["--output", str(home / "out"), "--threads", "1", "--processes", "2"]
                made.append(Command(name, words, home / "out"))
            elif name == "serve":
                uri = f"s3://{BUCKET}/{name}"
                storage.store_folder(model, uri)
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", 0))
                    port = int(probe.getsockname()[1])
                words = [*python, "serve", "--model", uri, "--port", str(port), "--threads", "1"]
                made.append(Command(name, words, home, {"TOFNER_CACHE": str(home / "cache")}, port))
            elif name == "run":
                words = [*python, "run", "--preset", str(root / "preset.yaml"), "--data", str(root / "data")]
                words += ["--work", str(home / "work"), "--iterations", "0", "--set", "use.mrc=false"]
                own = dict.fromkeys(("S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), "")
                made.append(
                    Command(name, [*words, "--set", "use.pseudo=false"], home / "work/out/model", own)
                )  # a store of its own
        calm, hurt = made
        (root / name / "tmp").mkdir()
        began = time.monotonic()
        digest = ended(calm, calm.start(root / name / "tmp"))
        hurt.seconds = (time.monotonic() - began) * (1.2 if hurt.port else 0.9)
        yield hurt, digest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--each", type=int, default=10, help="of each signal to each command")
    parser.add_argument("--signals", nargs="+", default=list(SIGNALS), choices=list(SIGNALS))
    parser.add_argument("--commands", nargs="+", default=["tag", "serve", "run"], choices=["tag", "serve", "run"])
    parser.add_argument("--seed", type=int, default=int(os.environ.get("TOFNER_SEED", "0")))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        return 1 if play(Path(scratch), given.commands, given.signals, given.each, given.seed) else 0


def play(root: Path, names: list[str], signals: list[str], each: int, seed: int) -> list[str]:
    """Everything; prints the table and returns what went wrong."""
    wrong: list[str] = []
    print(f"seed {seed}; {'command':>7} {'seconds':>8}  exit codes, lines of message, processes left, folders left")
    with LocalStore(root / "store") as store, mock.patch.dict(os.environ, store.environment()):
        for command, calm in commands(root, store, names):
            chance = random.Random(f"{seed} {command.name}")
            order = [one for one in signals for _ in range(each)]
            chance.shuffle(order)
            counts = torture(command, order, root / command.name, chance, calm)
            codes = ", ".join(f"{code}: {count}" for code, count in sorted(counts.codes.items()))
            lines = ", ".join(f"{number}: {count}" for number, count in sorted(counts.lines.items()))
            print(
                f"{command.name:>13} {command.seconds:8.1f}  {codes} | {lines} | {counts.orphans} | {counts.folders}",
                flush=True,
            )
            wrong += counts.wrong
    print("\n".join(wrong) or "as promised")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
