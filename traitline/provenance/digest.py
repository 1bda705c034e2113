"""Hash the code of a stage by its syntax trees, so a comment reruns nothing and an edit reruns what depends on it.

Parsing all modules costs a short job more than its work. So the results are kept in `.traitline/code.json` under the
hash of each file's bytes: Snakemake fills it when it starts, its jobs read it.
"""

import ast
import contextlib
import hashlib
import json
import sys
from functools import cache
from pathlib import Path

from traitline import atomic, json_files

ROOT = Path(__file__).resolve().parents[2]
KEPT = ".traitline/code.json"
MOST = 1000  # files, the newest ones
EVERY = "*"  # every module of a package
DIALECT = f"3 {sys.version_info.major}.{sys.version_info.minor}"  # trees differ from one Python to the next


@cache
def _known() -> dict[str, tuple[str, list[str]]]:
    """sha256 of a file -> result of `_parse`. Empty where the cache is missing or damaged: it only saves time."""
    cached = json_files.recall(ROOT / KEPT)
    try:
        return {k: (str(tree), list(map(str, names))) for k, (tree, names) in cached[DIALECT].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _parse(text: str) -> tuple[str, list[str]]:
    """(hash of a module's syntax tree without docstrings, names of this project that it imports anywhere).

    Imports for types only do not count: they never run, and every stage would depend on every setting there is.
    """
    tree = ast.parse(text)
    imported = set[str]()
    typed = set[ast.AST]()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            typed |= {inner for part in node.body for inner in ast.walk(part)}
    for node in ast.walk(tree):
        if node in typed:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            imported |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
        elif isinstance(node, ast.Import):
            imported |= {a.name for a in node.names}
        elif package := _listed(node):
            imported.add(f"{package}.{EVERY}")
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[0].value.value = ""  # type: ignore[attr-defined]  # a docstring is an expression of a constant
    ours = sorted(name for name in imported if name.split(".")[0] in ("traitline", "scripts"))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), ours


def _listed(node: ast.AST) -> str | None:
    """The package whose modules `pkgutil.iter_modules(package.__path__)` lists; None for any other syntax.

    Whoever lists a package means to import what is in it, by names that no import statement has.
    """
    if not (isinstance(node, ast.Call) and ast.unparse(node.func).endswith("iter_modules") and node.args):
        return None
    package, _, attribute = ast.unparse(node.args[0]).rpartition(".")
    return package if attribute == "__path__" else None


@cache
def _tree(path: Path) -> tuple[str, frozenset[Path]]:
    """(hash of the module's syntax tree, project modules it imports anywhere)."""
    content = path.read_bytes()
    key = hashlib.sha256(content).hexdigest()
    tree, names = _known()[key] = _known().get(key) or _parse(content.decode())
    files = {file for name in names for file in ROOT.glob(name.replace(".", "/") + ".py")}
    return tree, frozenset(file for file in files if file.is_file())


@cache
def digest(stage: str) -> str:
    """12 hex digits over `scripts/{stage}.py` and every project module that it imports, transitively."""
    before = len(_known())
    todo, seen = [ROOT / "scripts" / f"{stage}.py"], set[Path]()
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo.extend(_tree(path)[1])
    if len(_known()) > before:
        with contextlib.suppress(OSError):  # where nobody may write
            atomic.put(ROOT / KEPT, json.dumps({DIALECT: dict(list(_known().items())[-MOST:])}))
    h = hashlib.sha256()
    for path in sorted(seen):
        h.update(f"{path.relative_to(ROOT).as_posix()}\n{_tree(path)[0]}\n".encode())
    return h.hexdigest()[:12]
