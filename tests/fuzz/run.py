"""Fuzzes the readers of foreign bytes: `python -m tests.fuzz.run --seconds 30`, for all targets together.

It needs `uv sync --group fuzz`. Each target runs in a process of its own, from its folder in corpus/. What is found is
written below --findings; its exit code is then 1. Mend the reader, and put the file into corpus/<target>/: a test reads
these files each time, without atheris. An hour by hand: `--seconds 3600 --keep FOLDER`; FOLDER keeps what the fuzzer
has learned for the next time.
"""

import argparse
import importlib
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = "tests.fuzz.targets"
ONE_INPUT_SECONDS = 20
"""A reader that takes longer for one small input is a finding."""
START_SECONDS = 240
"""A target needs a while to import what it reads with, on a busy machine."""
MEMORY_MB = 2048
LONGEST_INPUT = 16384
NOISE = ("INFO:", "WARNING:", "#", "stat::", "0x", "MS:", "Base64:", "artifact_prefix=")
"""How libFuzzer's lines begin that say nothing about a finding."""


def fuzz(table: str, name: str, seconds: int, seeds: Sequence[Path], findings: Path) -> bool:
    """Fuzzes a target for some seconds; prints and returns whether it made no finding."""
    findings.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    flags = [
        f"-max_total_time={seconds}", f"-timeout={ONE_INPUT_SECONDS}", f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={LONGEST_INPUT}", f"-artifact_prefix={findings}/", "-print_final_stats=1", "-verbosity=1",
    ]  # fmt: skip
    command = [sys.executable, "-m", "tests.fuzz.one", table, name, *flags, *map(str, seeds)]
    try:
        ended = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False,
            timeout=seconds + START_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        print(f"{name}: did not end within {seconds + START_SECONDS} s", flush=True)
        return False
    lines = (ended.stdout + ended.stderr).splitlines()
    runs = next((line.split()[-1] for line in lines if line.startswith("stat::number_of_executed_units")), "0")
    if ended.returncode == 0 and int(runs):
        print(f"{name}: {runs} inputs in {seconds} s, no finding", flush=True)
        return True
    report = [line for line in lines if not line.startswith(NOISE)]
    new_files = sorted(set(findings.iterdir()) - before)
    print(f"{name}: exit code {ended.returncode} after {runs} inputs", *report[-40:], *new_files, sep="\n", flush=True)
    return False


def main(arguments: Sequence[str] | None = None, table: str = TABLE) -> int:
    """Fuzzes the targets one after another, and returns the exit code."""
    targets = importlib.import_module(table)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help=f"all by default: {', '.join(targets.TARGETS)}")
    parser.add_argument("--seconds", type=int, default=30, help="for all targets together")
    parser.add_argument("--findings", type=Path, default=ROOT / "build" / "fuzz", help="where findings are written")
    parser.add_argument("--keep", type=Path, help="a folder that keeps the inputs which reached new code")
    options = parser.parse_args(arguments)
    names = options.targets or list(targets.TARGETS)
    if unknown := set(names) - set(targets.TARGETS):
        parser.error(f"{', '.join(sorted(unknown))} is not a target; valid: {', '.join(targets.TARGETS)}")
    if importlib.util.find_spec("atheris") is None:
        parser.error("atheris is not installed: `uv sync --group fuzz`")
    with tempfile.TemporaryDirectory() as work:
        sound = []
        for name in names:
            learned = (options.keep or Path(work)) / name
            learned.mkdir(parents=True, exist_ok=True)
            seeds = [learned, *(path for path in [targets.CORPUS / name] if path.is_dir())]
            share = max(1, options.seconds // len(names))
            sound.append(fuzz(table, name, share, seeds, options.findings.absolute() / name))
    return 0 if all(sound) else 1


if __name__ == "__main__":
    sys.exit(main())
