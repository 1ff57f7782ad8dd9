"""Twenty kill -9 in one tagging job over s3:// on a real SeaweedFS, half of them with the store killed too.

    python benchmarks/tag_kills.py [--model FOLDER] [--kills 20] [--records 20000] [--shards 24]

Tags the same input twice: undisturbed, and in a process that is killed at random moments and started again until it is
done. Prints each kill; exits 0 if the outputs are byte for byte the same, with nothing missing and nothing twice.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tofner import storage
from tofner.storage import BUCKET, LocalStore

WORDS = "Angela Merkel met Obama in New York , said Reuters . The U.N. envoy left Madrid for Berlin on Monday".split()
_JOB = "import sys; from tofner.tagging import tag_job; tag_job(*sys.argv[1:4], quiet=True, threads=1, {})"


def make_input(path: Path, records: int) -> None:
    """Records with an id, so that losses and repetitions show."""
    chance = random.Random(7)
    with path.open("w", encoding="utf-8") as file:
        for i in range(records):
            text = " ".join(chance.choices(WORDS, k=chance.randint(4, 40)))
            file.write(json.dumps({"id": i, "text": text}) + "\n")


def start(model: str, source: str, target: str, shard_bytes: int, env: dict[str, str]) -> "subprocess.Popen[bytes]":
    code = _JOB.format(f"shard_bytes={shard_bytes}")
    return subprocess.Popen([sys.executable, "-c", code, model, source, target], env=env, stderr=subprocess.PIPE)


def finish(process: "subprocess.Popen[bytes]") -> None:
    """Wait for success.

    Raises:
        RuntimeError: the job failed by itself.
    """
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the job ended with {process.returncode}: {said.decode()[-2000:]}")


def digests(uri: str) -> dict[str, str]:
    """sha256 of each output object."""
    names = [info.path for info in storage.list_files(uri) if not info.path.startswith("_tofner/")]
    return {name: hashlib.sha256(storage.read_bytes(storage.join(uri, name))).hexdigest() for name in names}


def ids(uri: str) -> list[int]:
    """The ids of all records, in the order of the parts."""
    rows = (storage.read_bytes(storage.join(uri, name)).splitlines() for name in sorted(digests(uri)))
    return [json.loads(line)["id"] for part in rows for line in part]


def torture(
    model: str, store: LocalStore, base: str, kills: int, records: int, shards: int, seed: int = 0
) -> list[str]:
    """Run the proof; returns what went wrong, nothing if all is well."""
    os.environ.update(store.environment())
    env = {**os.environ, "TOFNER_STORAGE_PATIENCE_S": "60"}
    source = storage.join(base, "in.jsonl")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "in.jsonl")
        make_input(path, records)
        shard_bytes = path.stat().st_size // shards + 1
        storage.write_bytes(source, path.read_bytes())
    calm, hurt = storage.join(base, "calm"), storage.join(base, "hurt")
    began = time.monotonic()
    finish(start(model, source, calm, shard_bytes, env))
    whole_s = time.monotonic() - began
    print(f"undisturbed: {whole_s:.1f} s, {len(digests(calm))} parts", flush=True)
    chance = random.Random(seed)
    lowest, count = 0.5, 0
    while count < kills:
        process = start(model, source, hurt, shard_bytes, env)
        # The first kills come early, later ones anywhere; the job never gets the time that it needs as a whole.
        wait = chance.uniform(lowest, lowest + whole_s * 1.5 / kills + 0.5)
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            with_store = count % 2 == 1
            if with_store:
                store.kill()
            process.send_signal(signal.SIGKILL)
            process.communicate()
            count += 1
            if with_store:
                store.start()
            done = len(storage.list_files(storage.join(hurt, "_tofner/shards")))
            print(
                f"kill {count:2d} after {wait:5.2f} s{' with the store' if with_store else ''}: {done} shards done",
                flush=True,
            )
            if done >= shards:
                break
            continue
        if process.returncode:
            said = process.communicate()[1].decode()[-2000:]
            return [f"the job failed by itself: {said}"]
        break
    finish(start(model, source, hurt, shard_bytes, env))
    problems = [] if count >= kills else [f"only {count} of {kills} kills hit a running job: give it more records"]
    if digests(hurt) != digests(calm):
        problems.append("outputs differ")
    if ids(hurt) != list(range(records)):
        problems.append("records lost or repeated")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="", help="a published model; default: a tiny one made on the spot")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--records", type=int, default=60_000)
    parser.add_argument("--shards", type=int, default=60)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model = given.model
        if not model:
            from tests.tiny_tagger import publish_tiny

            model = str(publish_tiny(Path(scratch, "model")))
        with LocalStore(Path(scratch, "store")) as store:
            base = f"s3://{BUCKET}/kills"
            problems = torture(model, store, base, given.kills, given.records, given.shards)
    print("\n".join(problems) or "same bytes, nothing lost, nothing twice")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
