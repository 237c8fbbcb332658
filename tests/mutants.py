"""Whether the tests notice when the core is wrong: mutants of it, drawn by a fixed seed, are put to its tests.

Every mutant that Cosmic Ray makes of sidecar/core is in the draw, but for those that change annotations alone or do not
compile. Each is run in a copy of the tree, the quick tests first, until a test fails. One that no test kills must be
listed, with the reason why it is the same program, in equivalent_mutants.yaml; one listed there that a test kills, or
that changes a line which is no longer in the core, is a mistake too.

    python -m tests.mutants [--seed N] [--count N] [--only calendar.py]
"""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from rich.console import Console

ROOT = Path(__file__).parent.parent
CORE = ROOT / "sidecar" / "core"
EQUIVALENT = Path(__file__).parent / "equivalent_mutants.yaml"
COPIED = ("sidecar", "sync", "tests", "policies", "proto", "pyproject.toml")
SEED, COUNT = 20260731, 30

QUICK = (*sorted((ROOT / "tests/unit").glob("test_core_*.py")), ROOT / "tests/unit/test_worked_cases.py")
THOROUGH = (
    ROOT / "tests/unit/test_policy_shipped.py",
    ROOT / "tests/unit/test_policy_examples.py",
    ROOT / "tests/property/test_table_equals_rules.py",
    ROOT / "tests/property/test_engine_equals_oracle.py",
)
TESTS = tuple(str(p.relative_to(ROOT)) for p in (*QUICK, *THOROUGH) if p.name != "test_core_pure.py")
"""In order. Of those of the core only the ones that read its source, not what it does, are left out."""

PER_TEST_SECONDS = 15
MEMORY_BYTES = 4 << 30
"""A mutant may loop or grow for ever: it is stopped, and that is a test that failed."""


class Change(NamedTuple):
    """The lines that a mutant takes out and puts in, without the space around them."""

    file: str
    line: str
    mutant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One mutation of a module of the core."""

    module: Path
    operator: str
    occurrence: int
    code: str

    @property
    def change(self) -> Change:
        """What is different."""
        lines = list(difflib.ndiff(self.module.read_text().splitlines(), self.code.splitlines()))
        out, into = ("\n".join(text[2:].strip() for text in lines if text[:2] == side) for side in ("- ", "+ "))
        return Change(self.module.name, out, into)

    def diff(self) -> str:
        """What is different, as people read it."""
        old, new = self.module.read_text().splitlines(), self.code.splitlines()
        name = str(self.module.relative_to(ROOT))
        return "\n".join(difflib.unified_diff(old, new, name, f"{name} ({self.operator})", n=2, lineterm=""))


class Equivalents(NamedTuple):
    """Mutants shown to be the same program: reasons by what they change, and by operator."""

    changes: Mapping[Change, str]
    operators: Mapping[str, str]

    def reason(self, mutant: Mutant) -> str | None:
        """Why a mutant is equivalent; None when that is not known."""
        return self.changes.get(mutant.change) or self.operators.get(mutant.operator)


def mutants(modules: Iterable[Path], seed: int) -> Iterator[Mutant]:
    """Every mutant of the modules, in an order that follows from the seed."""
    every = [where for module in sorted(modules) for where in _places(module)]
    random.Random(seed).shuffle(every)
    for module, operator, occurrence in every:
        original = module.read_text()
        code = mutate_code(original, get_operator(operator)(), occurrence)
        if code is not None and _meaning(code) not in (None, _meaning(original)):
            yield Mutant(module=module, operator=operator, occurrence=occurrence, code=code)


def _places(module: Path) -> Iterator[tuple[Path, str, int]]:
    tree = get_ast(module.read_text())
    for name in operator_names():
        kind = get_operator(name)
        if not kind.arguments():
            operator = kind()
            count = sum(1 for node in ast_nodes(tree) for _ in operator.mutation_positions(node))
            yield from ((module, name, n) for n in range(count))


class _Bare(ast.NodeTransformer):
    """Takes out annotations, which are never evaluated here."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        self.generic_visit(node)
        node.annotation = ast.Constant(None)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.returns = None
        return node


@cache
def _meaning(code: str) -> str | None:
    """The program without its annotations; None when it is none."""
    try:
        compile(code, "mutant", "exec")
    except (SyntaxError, ValueError):
        return None
    return ast.dump(_Bare().visit(ast.parse(code)))


def equivalents() -> Equivalents:
    """The checked-in list. Raises ValueError when a line that it names is not in the core any more."""
    listed = yaml.safe_load(EQUIVALENT.read_text())
    changes = {}
    for entry in listed["changes"]:
        present = {line.strip() for line in (CORE / entry["file"]).read_text().splitlines()}
        if missing := [line for line in entry["line"].splitlines() if line not in present]:
            raise ValueError(f"{EQUIVALENT.name}: {entry['file']} has no line {missing[0]!r}")
        changes[Change(entry["file"], entry["line"], entry["mutant"])] = entry["reason"]
    return Equivalents(changes, {entry["operator"]: entry["reason"] for entry in listed["operators"]})


class Workshop:
    """A copy of the tree, in which mutants are put to the tests one by one."""

    def __init__(self, place: Path) -> None:
        self._place = place
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, place / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, place / name)

    def check(self) -> float:
        """How many seconds the tests take on the core as it is. Raises RuntimeError: they fail, or run elsewhere."""
        started = time.monotonic()
        where = "import sidecar.core as c; print(c.__path__[0])"
        shown = subprocess.run(
            [sys.executable, "-c", where], cwd=self._place, capture_output=True, text=True, check=True
        )
        if Path(shown.stdout.strip()) != self._place / "sidecar" / "core":
            raise RuntimeError(f"the tests would not be of the copy, but of {shown.stdout.strip()}")
        failed = self._run(TESTS, 3600, write_bytecode=True)
        if failed:
            raise RuntimeError(f"the core fails its tests unchanged: {failed}")
        shutil.rmtree(self._place / "sidecar" / "core" / "__pycache__")  # a mutant is never taken for the original
        return time.monotonic() - started

    def kill(self, mutant: Mutant, timeout: float) -> str:
        """The first test that fails on a mutant; "" when it survives them all. Tests of its own module come first."""
        module = self._place / mutant.module.relative_to(ROOT)
        original = module.read_text()
        module.write_text(mutant.code)
        own = [t for t in TESTS if t.endswith(f"/test_core_{mutant.module.stem}.py")]
        others = [t for t in TESTS if t not in own]
        try:
            return (self._run(own, timeout) if own else "") or self._run(others, timeout)
        finally:
            module.write_text(original)

    def _run(self, tests: Iterable[str], timeout: float, *, write_bytecode: bool = False) -> str:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "--no-header",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
        ]
        command += ["-o", f"timeout={PER_TEST_SECONDS}", "--tb=no", *tests]
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("DESKGATE_", "PYTEST_", "PYTHON"))
        }
        environment = kept | {"PYTHONHASHSEED": "0"} | ({} if write_bytecode else {"PYTHONDONTWRITEBYTECODE": "1"})
        child = subprocess.Popen(
            command,
            cwd=self._place,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES)),
        )
        try:
            shown, _ = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            return f"stopped after {timeout:.0f} s"
        return "" if child.returncode == 0 else _first_failure(shown, child.returncode)


def _first_failure(shown: str, code: int) -> str:
    failures = [line.split(" - ")[0] for line in shown.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return failures[0] if failures else f"pytest ended with {code}: {(shown.splitlines() or [''])[-1]}"


def main(arguments: list[str] | None = None) -> int:
    """0 when every mutant died or is known to be equivalent, and none that is said to be equivalent died."""
    parser = argparse.ArgumentParser(description="Puts mutants of the core to its tests.")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--only", default="*.py", help="modules of the core, as a glob")
    given = parser.parse_args(arguments)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    known = equivalents()
    wrong: list[Mutant] = []
    with tempfile.TemporaryDirectory(prefix="deskgate-mutants-") as place:
        workshop = Workshop(Path(place).resolve())
        seconds = workshop.check()
        console.print(f"unchanged: the tests pass in {seconds:.0f} s; {given.count} mutants by seed {given.seed}")
        tally = {"killed": 0, "equivalent": 0, "SURVIVED": 0, "NOT EQUIVALENT": 0}
        drawn = mutants(CORE.glob(given.only), given.seed)
        for number, mutant in zip(range(1, given.count + 1), drawn, strict=False):
            killer, reason = workshop.kill(mutant, 60 + 5 * seconds), known.reason(mutant)
            verdict = ("NOT EQUIVALENT" if reason else "killed") if killer else "equivalent" if reason else "SURVIVED"
            tally[verdict] += 1
            change = mutant.change
            console.print(f"{number:3} {verdict:10} {change.file}: {change.line}  =>  {change.mutant}")
            console.print(f"    {killer or reason or mutant.diff()}")
            if verdict.isupper():
                wrong.append(mutant)
    console.print(", ".join(f"{count} {verdict}" for verdict, count in tally.items()))
    for mutant in wrong:
        console.print(mutant.diff())
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
