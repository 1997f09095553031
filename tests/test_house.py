"""The rules of docs/design.md that can be read off the source: layers, words, sizes, docstrings, honest tests."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import liquidtorch

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "liquidtorch"
DESIGN = (ROOT / "docs" / "design.md").read_text()
SOURCES = sorted(PACKAGE.rglob("*.py"))

OUTSIDE = {"__init__", "__main__", "testing"}  # the door, `python -m`, and the suites that may look at everything
ONLY = {  # third-party name -> the rooms that may import it, at any depth, even inside a function
    "polars": {"data", "datasets", "run"},
    "narwhals": {"data"},
    "networkx": {"wiring"},
    "jinja2": {"report"},
    "typer": {"cli"},
    "rich": {"cli", "train"},
    "yaml": {"run"},
    "tomllib": {"run"},
    "safetensors": {"model", "train", "online"},
    "river": {"online"},
    "paho": {"stream"},
    "sklearn": {"estimators", "baselines"},
    "ncps": set(),
    "triton": {"ops"},
    "pickle": set(),
}
NO_TORCH = {"errors", "files", "record", "wiring", "data", "datasets", "task", "report"}


def layers() -> list[list[str]]:
    """Read the list of rooms from the design document: high to low, names on one line are strangers."""
    block = DESIGN.split("Who may import whom")[1].split("```")[1]
    return [[name.strip() for name in line.split("|")] for line in block.strip().splitlines()]


def rooms_imported(path: Path) -> Iterator[tuple[str, int]]:
    """Yield (absolute module name, line) for every import of a file, relative ones resolved."""
    here = ["liquidtorch", *path.relative_to(PACKAGE).with_suffix("").parts]
    package = here[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            yield from ((".".join([*base, name.name]), node.lineno) for name in node.names)


def layer_faults(path: Path) -> Iterator[str]:
    rank = {name: i for i, line in enumerate(layers()) for name in line}
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room in OUTSIDE:
        return
    where = path.relative_to(ROOT)
    if room not in rank:
        yield f"{where}: {room!r} stands on no line of docs/design.md section 2"
        return
    for name, line in rooms_imported(path):
        top, *rest = name.split(".")
        ours = rest[0] if top == "liquidtorch" and rest and rest[0] != room else ""
        if ours == "testing" or (ours in rank and rank[ours] <= rank[room]):
            yield f"{where}:{line}: {room} may not import {ours}"
        if top in ONLY and room not in ONLY[top]:
            yield f"{where}:{line}: {room} may not import {top}"
        if top == "torch" and room in NO_TORCH:
            yield f"{where}:{line}: {room} may not import torch"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_layers(path: Path) -> None:
    assert not list(layer_faults(path))


def test_every_room_of_the_list_exists() -> None:
    for room in (name for line in layers() for name in line):
        assert (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").is_file(), room


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_a_file_is_one_idea() -> None:
    long = {str(p): n for p in tracked("*.py", "*.jinja", "*.css") if (n := len(p.read_text().splitlines())) > 500}
    assert not long


def test_words() -> None:
    """One word per idea (section 3); `classic` and `ncps` keep the words of what they mirror."""
    wrong = re.compile(
        r"\b(hidden_size|input_size|batch_first|n_units|num_units|time_?spans|spectral_radius)\b|\bdo_|\bprocess_"
    )
    places = [
        f"{path.name}:{i}: {line.strip()}"
        for path in SOURCES
        if path.name not in {"classic.py", "ncps.py"}
        for i, line in enumerate(path.read_text().splitlines(), 1)
        if wrong.search(line)
    ]
    assert not places
    assert not [p for p in SOURCES if re.search(r"utils|helpers|common|misc|base", p.stem)]


def test_no_test_hides_a_failure() -> None:
    """A `try` in a test can swallow the assertion; a test without a check cannot fail."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not isinstance(node, ast.Try), f"{path.name}:{node.lineno}: try in a test"
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                body = ast.unparse(node)
                checks = re.search(r"\bassert\b|raises|assert_|check|warns|testing\.", body)
                assert checks, f"{path.name}:{node.lineno}: {node.name} checks nothing"


def public_things() -> list[tuple[str, object]]:
    """Every public class and function, wherever it is defined, found by walking the package."""
    found = {}
    for module in pkgutil.walk_packages(liquidtorch.__path__, "liquidtorch."):
        if module.name.endswith("__main__") or any(part.startswith("_") for part in module.name.split(".")):
            continue
        if module.name.startswith("liquidtorch.ops.triton.") and importlib.util.find_spec("triton") is None:
            continue
        room = importlib.import_module(module.name)
        for name, thing in vars(room).items():
            defined_here = getattr(thing, "__module__", "") == module.name
            if not name.startswith("_") and defined_here and (inspect.isclass(thing) or inspect.isfunction(thing)):
                found[f"{module.name}.{name}"] = thing
    return sorted(found.items())


def test_every_public_thing_has_a_docstring() -> None:
    things = public_things()
    assert len(things) > 50
    bare = [name for name, thing in things if not (getattr(thing, "__doc__", None) or "").strip()]
    assert not bare


def exported() -> list[tuple[str, object]]:
    return [(name, getattr(liquidtorch, name)) for name in liquidtorch.__all__ if name != "__version__"]


@pytest.mark.parametrize(("name", "thing"), exported(), ids=[name for name, _ in exported()])
def test_docstrings_at_the_door_are_complete(name: str, thing: object) -> None:
    """What `liquidtorch.X` offers says its parameters and shows an example that runs (doctests run it)."""
    doc = inspect.getdoc(thing) or ""
    assert doc.splitlines()[0].endswith((".", ":")), "the first line is one sentence"
    assert "Examples\n--------" in doc
    assert ">>>" in doc
    subject = thing.__init__ if inspect.isclass(thing) else thing
    names = [p for p in inspect.signature(subject).parameters if p not in {"self", "args", "kwargs"}]
    missing = [p for p in names if not re.search(rf"(^|[\s,*]){re.escape(p)}\b.*:", doc, re.MULTILINE)]
    assert not missing, f"parameters without a line in the docstring of {name}"


def test_import_brings_no_torch() -> None:
    code = "import sys, liquidtorch; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_lazy_name_opens() -> None:
    for name in liquidtorch.__all__:
        assert getattr(liquidtorch, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        liquidtorch.nothing  # noqa: B018


def test_nothing_names_a_machine() -> None:
    wrong = re.compile(r"/(work|opt|root)/|\bCtx\b")
    places = [
        f"{path.relative_to(ROOT)}:{i}"
        for path in tracked("*.py", "*.md", "*.toml", "*.txt", "Makefile", ".ci/run", "*.json", "*.jsonl")
        if path != Path(__file__)
        for i, line in enumerate(path.read_text().splitlines(), 1)
        if wrong.search(line)
    ]
    assert not places
