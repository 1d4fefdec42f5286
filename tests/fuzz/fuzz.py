"""Has AFL++ look for inputs that end a target, or that it does not come to an end with:

    fuzz.py PROGRAM --corpus SEEDS --work FOLDER --found FOLDER --seconds N

Such an input is kept in FOLDER of --found, and the run fails. It fails too if the fuzzer did nothing."""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

ENVIRONMENT = {
    "AFL_NO_UI": "1",
    "AFL_NO_AFFINITY": "1",  # the cores are shared
    "AFL_SKIP_CPUFREQ": "1",
    "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1",  # a core pattern costs time, it loses nothing
    "AFL_HANG_TMOUT": "10000",  # ms: on busy cores a second is no hang
    "ASAN_OPTIONS": "abort_on_error=1:symbolize=0:detect_leaks=0",
    "UBSAN_OPTIONS": "abort_on_error=1:halt_on_error=1",
}
TIMEOUT_MS = 2000


def fuzz(given):
    shutil.rmtree(given.work, ignore_errors=True)
    given.work.mkdir(parents=True)
    with open(given.work / "output", "w", encoding="utf-8") as output:
        return subprocess.run(
            ["afl-fuzz", "-i", given.corpus, "-o", given.work, "-V", str(given.seconds), "-t",
             str(TIMEOUT_MS), "-m", "none", "--", given.program],
            env={**os.environ, **ENVIRONMENT}, stdout=output, stderr=subprocess.STDOUT,
            check=False).returncode


def statistics(work):
    """What the fuzzer says of its run; empty: it did not get that far."""
    path = work / "default/fuzzer_stats"
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {name.strip(): value.strip() for name, value in (line.split(":", 1) for line in lines)}


def keep(given):
    """The inputs that were found, under names that do not change with the next run."""
    kept = []
    for kind in ("crashes", "hangs"):
        for path in sorted((given.work / "default" / kind).glob("id*")):
            given.found.mkdir(parents=True, exist_ok=True)
            number = path.name.split(",")[0].split(":")[1]
            kept.append(shutil.copy(path, given.found / f"{kind}-{given.seconds}s-{number}"))
    return kept


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=pathlib.Path)
    for folder in ("--corpus", "--work", "--found"):
        parser.add_argument(folder, type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=int, required=True)
    given = parser.parse_args()
    code = fuzz(given)
    figures = statistics(given.work)
    kept = keep(given)
    for path in kept:
        print(f"found: {path}")
    if kept:
        name = given.program.name
        print(f"again: cmake --build --preset debug --target {name} && "
              f"build/debug/tests/fuzz/{name} {kept[0]}")
        print(f"once mended, it belongs into {given.corpus}")
        return 1
    runs = int(figures.get("execs_done", 0))
    seeds = sum(1 for _ in given.corpus.iterdir())
    if code or runs <= 10 * seeds:
        print((given.work / "output").read_text(encoding="utf-8", errors="replace")[-4000:])
        print(f"the fuzzer ended with {code} after {runs} runs of {seeds} seeds")
        return 1
    print(f"{runs} runs from {seeds} seeds, {figures['corpus_count']} kept, edges reached: "
          f"{figures['edges_found']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
