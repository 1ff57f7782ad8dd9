"""How time and memory of a tagging job grow; a million records with bad lines among them; import and cold start.

    python benchmarks/tag_scale.py [--model FOLDER] [--words 30000] [--factors 1,10,100] [--million 1000000]

Without --model a tiny network is made on the spot: then reading, tokenizing and writing are what is measured, and a few
million words take minutes. With a real model choose fewer words. Each job runs in a process of its own; its peak
memory is VmHWM of /proc/self/status.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_JOB = """
import json, sys, time
from tofner.tagging import tag_job
start = time.perf_counter()
report = tag_job(*sys.argv[1:4], quiet=True, threads=int(sys.argv[4]), max_bad=sys.argv[5])
status = open("/proc/self/status").read()
peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
row = {"seconds": time.perf_counter() - start, "peak_mib": peak, "records": report.counts.records}
print(json.dumps({**row, "words": report.counts.words, "bad": report.counts.bad}))
"""
_IMPORT = "import time; t = time.perf_counter(); import tofner.tagging; print(time.perf_counter() - t)"
_COLD = """
import sys, time; t = time.perf_counter()
from tofner.tagging import Tagger
Tagger.load(sys.argv[1]).tag(["Angela Merkel met Obama in New York."])
print(time.perf_counter() - t)
"""
WORDS = "Angela Merkel met Obama in New York , said Reuters . The U.N. envoy left Madrid for Berlin on Monday".split()


def write_words(path: Path, words: int) -> None:
    """Records of 4 to 40 words drawn from a vocabulary of 20,000 made-up ones and a few real ones."""
    chance = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = WORDS + ["".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(20_000)]
    with path.open("w", encoding="utf-8") as file:
        while words > 0:
            size = min(words, chance.randint(4, 40))
            file.write(json.dumps({"text": " ".join(chance.choices(vocabulary, k=size))}) + "\n")
            words -= size


def run(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout.strip()


def million(model: str, scratch: Path, records: int, threads: int) -> bool:
    """Every good record is tagged, and every bad line is named; prints both."""
    path, chance = scratch / "million.jsonl", random.Random(2)
    bad = sorted(chance.sample(range(records), max(1, records // 2000)))
    broken = set(bad)
    with path.open("w", encoding="utf-8") as file:
        for i in range(records):
            good = json.dumps({"id": i, "text": " ".join(chance.choices(WORDS, k=4))})
            file.write((good[: len(good) // 2] if i in broken else good) + "\n")
    out = scratch / "million-out.jsonl"
    row = json.loads(run(_JOB, model, str(path), str(out), str(threads), "1%"))
    with out.open(encoding="utf-8") as file:
        ids = [json.loads(line)["id"] for line in file]
    dead = Path(f"{out}.tofner/dead-letter.jsonl").read_text(encoding="utf-8").splitlines()
    lines = [json.loads(line)["line"] for line in dead]
    all_good = ids == [i for i in range(records) if i not in broken]
    all_bad = lines == [i + 1 for i in bad]
    print(f"{records:,} records, {len(bad)} bad: {row['seconds']:.1f} s, peak {row['peak_mib']:.0f} MiB; ", end="")
    print(f"all good ones tagged in order: {all_good}; each bad line named: {all_bad}", flush=True)
    return all_good and all_bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="")
    parser.add_argument("--words", type=int, default=30_000)
    parser.add_argument("--factors", default="1,10,100")
    parser.add_argument("--million", type=int, default=1_000_000, help="records of the last job; 0: none")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory() as name:
        scratch, model = Path(name), given.model
        if not model:
            from tests.tiny_tagger import publish_tiny

            model = str(publish_tiny(scratch / "model"))
        times = [float(run(_IMPORT)) for _ in range(3)]
        cold = [float(run(_COLD, model)) for _ in range(3)]
        print(f"import {min(times):.2f} s; cold start (import, load, first text) {min(cold):.2f} s", flush=True)
        for factor in map(int, given.factors.split(",")):
            path, out = scratch / f"in{factor}.jsonl", scratch / f"out{factor}.jsonl"
            write_words(path, given.words * factor)
            began = time.perf_counter()
            row = json.loads(run(_JOB, model, str(path), str(out), str(given.threads), "0"))
            whole = time.perf_counter() - began
            rate = row["words"] / row["seconds"]
            print(
                f"{factor:4d}x: {row['words']:>9,} words, {row['seconds']:7.2f} s ({whole:.2f} s with start), "
                f"{rate:,.0f} words/s, peak {row['peak_mib']:.0f} MiB",
                flush=True,
            )
        if given.million:
            good = million(model, scratch, given.million, given.threads)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
