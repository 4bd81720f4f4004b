"""The mutants are sound, and each trap has one; a few run for real here, all of them in ``make mutants``."""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mutants import run

MUTANTS = run.mutants()
NAMED = {test.partition("[")[0] for mutant in MUTANTS for test in mutant.tests}
TRAPS = "tests/actors/runtime/test_traps.py"


def functions(path: str) -> set[str]:
    """The names under which pytest knows the tests of a file."""
    tree = ast.parse((run.ROOT / path).read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return {f"{path}::{name}" for name in defined if name.startswith("test_")}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    tree = run.copy_tree(tmp_path_factory.mktemp("mutants") / "tree")
    run.check_imports(tree)
    yield tree
    shutil.rmtree(tree)


def test_every_patch_applies_to_the_tree(tree: Path) -> None:
    faults = {mutant.name: run.apply(mutant, tree, "--check") for mutant in MUTANTS}
    assert {name: fault for name, fault in faults.items() if fault} == {}


def test_every_mutant_says_what_it_takes_out_and_names_tests_that_exist() -> None:
    assert [mutant.name for mutant in MUTANTS if not mutant.cure or not mutant.tests] == []
    known = set().union(*(functions(path) for path in {test.partition("::")[0] for test in NAMED}))
    assert NAMED - known == set()


def test_every_trap_has_a_test_and_every_such_test_a_mutant() -> None:
    tests = functions(TRAPS)
    assert {name.partition("test_trap_")[2][:2] for name in tests} == {f"{number:02}" for number in range(1, 13)}
    assert tests - NAMED == set()


@pytest.mark.parametrize("name", ["trap_06_registry", "stop_in_order"])
def test_a_mutant_is_killed_and_taken_back(tree: Path, name: str) -> None:
    (mutant,) = run.mutants([name])
    touched = tree / mutant.path.read_text(encoding="utf-8").partition("\n+++ b/")[2].partition("\n")[0]
    before = touched.read_text(encoding="utf-8")
    verdict = run.try_mutant(mutant, tree)
    assert (verdict.fate, verdict.why) == ("killed", "")
    assert touched.read_text(encoding="utf-8") == before


def test_what_is_green_is_not_counted_as_killed(tree: Path) -> None:
    (mutant,) = run.mutants(["trap_06_registry"])
    assert run.seen_green([mutant], tree)
    assert run.judge(mutant, 0, "")[0] == "survived"
    assert run.judge(mutant, 1, "FAILED tests/another.py::test_else")[0] == "survived"
    assert run.judge(mutant, 1, f"FAILED {mutant.tests[0]}_too - Error")[0] == "survived"
    assert run.judge(mutant, 1, f"FAILED {mutant.tests[0]} - Error")[0] == "killed"
    assert run.judge(mutant, 1, f"FAILED {mutant.tests[0]} - Error\nERROR {run.WITNESS}")[0] == "faulty"
    assert run.judge(mutant, None, "")[0] == "killed"
    assert [run.judge(mutant, code, "no tests ran")[0] for code in (2, 3, 4, 5)] == ["faulty"] * 4
