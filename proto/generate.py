"""Generates sidecar/_gen from proto/. `--check` only tells, by exit status 1, whether what is there is out of date."""

from __future__ import annotations

import filecmp
import re
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "sidecar" / "_gen"
OWN_IMPORT = re.compile(r"^from desking\.", re.MULTILINE)


def generate(into: Path) -> None:
    """Writes message classes and their stubs, with imports that work inside the package."""
    well_known = Path(protoc.__file__).parent / "_proto"
    sources = sorted(str(p.relative_to(HERE)) for p in HERE.rglob("*.proto"))
    arguments = ["protoc", f"-I{HERE}", f"-I{well_known}", f"--python_out={into}", f"--pyi_out={into}", *sources]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc failed")
    for made in [*into.rglob("*_pb2.py"), *into.rglob("*_pb2.pyi")]:
        made.write_text(OWN_IMPORT.sub("from sidecar._gen.desking.", made.read_text()))
    for folder in {into, *(p for made in into.rglob("*_pb2.py") for p in made.parents if into in p.parents)}:
        (folder / "__init__.py").touch()


def files(root: Path) -> set[Path]:
    return {p.relative_to(root) for p in root.rglob("*.py*") if "__pycache__" not in p.parts}


def main() -> int:
    if sys.argv[1:] != ["--check"]:
        generate(TARGET)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        names = files(fresh) | files(TARGET)
        stale = sorted(
            str(n)
            for n in names
            if not ((fresh / n).is_file() and (TARGET / n).is_file() and filecmp.cmp(fresh / n, TARGET / n, False))
        )
    for name in stale:
        print(f"sidecar/_gen/{name} is out of date: run `make proto`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
