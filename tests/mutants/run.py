"""Takes out one cure at a time, and shows that its test goes red: ``python -m tests.mutants.run [part of a name ...]``.

A mutant is a patch under ``tests/mutants/`` with a head of two kinds of lines: ``#`` says which cure it takes out, and
each ``Test:`` names a test that must fail, hang or end in an error by it. All happens in copies of the tree: there the
named tests are first seen green, and beside each mutant runs a witness that must stay green, so that no mutant counts
that merely breaks everything.
"""

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATCHES = Path(__file__).parent
NEEDED = ("actors", "config", "daemon", "sandbox", "tests", "setup.cfg", "pyproject.toml")
WITNESS = "tests/actors/runtime/test_pykka_contract.py::test_pykkas_own_senders_work_on_our_refs"
WORKERS = 2
HANG = 6
"""Seconds after which a test counts as hanging, and so as red."""
HUNG = 40
"""Seconds after which the whole of pytest does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    path: Path
    cure: str
    """What is taken out."""
    tests: tuple[str, ...]
    """Each must go red."""

    @property
    def name(self) -> str:
        return self.path.stem


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    mutant: Mutant
    fate: str
    """killed; survived, if a named test stayed green; or faulty, if the mutant proves nothing."""
    why: str
    seconds: float


def read(path: Path) -> Mutant:
    head = path.read_text(encoding="utf-8").partition("\n--- ")[0].splitlines()
    cure = " ".join(line.removeprefix("#").strip() for line in head if line.startswith("#"))
    tests = tuple(line.removeprefix("Test:").strip() for line in head if line.startswith("Test:"))
    return Mutant(path=path, cure=cure, tests=tests)


def mutants(words: Sequence[str] = ()) -> list[Mutant]:
    """All, or those with one of the words in their names."""
    found = [read(path) for path in sorted(PATCHES.rglob("*.patch"))]
    return [one for one in found if not words or any(word in one.name for word in words)]


def copy_tree(to: Path) -> Path:
    """A copy that tests can run in; no bytecode, which would outlive the patch it was made of."""
    to.mkdir(parents=True)
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules", ".*"))
        else:
            shutil.copy2(ROOT / name, to / name)
    return to


def environment(tree: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PYTEST_", "TELEWARDEN"))}
    # No repository above the copy is git's business, and the copy comes before the installed tree.
    return kept | {
        "GIT_CEILING_DIRECTORIES": str(tree.parent),
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def check_imports(tree: Path) -> None:
    """The copy is what tests there import, not the tree that is installed."""
    done = subprocess.run(
        [sys.executable, "-c", "import actors.runtime.actor as one; print(one.__file__)"],
        cwd=tree, env=environment(tree), capture_output=True, text=True, check=True,
    )  # fmt: skip
    if not Path(done.stdout.strip()).is_relative_to(tree.resolve()):
        raise RuntimeError(f"tests would import {done.stdout.strip()} instead of the copy in {tree}")


def apply(mutant: Mutant, tree: Path, *options: str) -> str | None:
    """Apply the patch in ``tree``; what is wrong with it, if it won't go in."""
    command = ["git", "apply", "--whitespace=nowarn", *options, str(mutant.path)]
    done = subprocess.run(command, cwd=tree, env=environment(tree), capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"the patch doesn't apply: {done.stderr.strip()}"


def run_tests(tree: Path, tests: Iterable[str]) -> tuple[int | None, str]:
    """Pytest's exit code, None if it hung, and its output."""
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb", "no", "-rfE",
        "--timeout", str(HANG), *dict.fromkeys(tests),
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment(tree), capture_output=True, text=True, check=False, timeout=HUNG
        )
    except subprocess.TimeoutExpired:
        return None, f"pytest hung for {HUNG} s"
    return done.returncode, done.stdout + done.stderr


def is_red(test: str, output: str) -> bool:
    return any(
        line.startswith((f"FAILED {test}", f"ERROR {test}")) and line.partition(test)[2][:1] in ("", " ", "[")
        for line in output.splitlines()
    )


def judge(mutant: Mutant, code: int | None, output: str) -> tuple[str, str]:
    if code is None:
        return "killed", output
    if code not in (0, 1):
        return "faulty", f"pytest ended with {code}: " + " | ".join(output.strip().splitlines()[-4:])
    if green := [test for test in mutant.tests if not is_red(test, output)]:
        return "survived", f"green: {', '.join(green)}"
    if WITNESS not in mutant.tests and is_red(WITNESS, output):
        return "faulty", f"it breaks everything, {WITNESS} too"
    return "killed", ""


def try_mutant(mutant: Mutant, tree: Path) -> Verdict:
    """Apply the mutant, run its tests, take it back."""
    begun = time.monotonic()
    fault = apply(mutant, tree)
    if fault is not None:
        return Verdict(mutant=mutant, fate="faulty", why=fault, seconds=time.monotonic() - begun)
    try:
        fate, why = judge(mutant, *run_tests(tree, [WITNESS, *mutant.tests]))
    finally:
        stuck = apply(mutant, tree, "--reverse")
        if stuck is not None:
            raise RuntimeError(f"{mutant.name} can't be taken back: {stuck}")
    return Verdict(mutant=mutant, fate=fate, why=why, seconds=time.monotonic() - begun)


def try_in_turn(trees: "queue.SimpleQueue[Path]", mutant: Mutant) -> Verdict:
    tree = trees.get()
    try:
        return try_mutant(mutant, tree)
    finally:
        trees.put(tree)


def seen_green(chosen: Sequence[Mutant], tree: Path) -> bool:
    """Whether all named tests pass as long as nothing is taken out."""
    code, output = run_tests(tree, [WITNESS, *(test for mutant in chosen for test in mutant.tests)])
    if code != 0:
        say("The tests aren't green to begin with:\n" + output)
    return code == 0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def report(verdicts: Sequence[Verdict]) -> int:
    """The table; how many were not killed."""
    for one in verdicts:
        say(f"{one.fate:8}  {one.seconds:4.1f} s  {one.mutant.name}{': ' if one.why else ''}{one.why}")
    killed = sum(one.fate == "killed" for one in verdicts)
    say(f"{len(verdicts)} mutants, {killed} killed")
    return len(verdicts) - killed


def main(words: Sequence[str]) -> int:
    chosen = mutants(words)
    if not chosen:
        say(f"no mutant is named like {' or '.join(words)}")
        return 2
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        ready: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(WORKERS):
            tree = copy_tree(Path(folder) / str(number))
            check_imports(tree)
            ready.put(tree)
        if not seen_green(chosen, tree):
            return 2
        with ThreadPoolExecutor(WORKERS) as workers:
            return bool(report(list(workers.map(partial(try_in_turn, ready), chosen))))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
