"""What a stage's code is: a hash of syntax trees, so a comment reruns nothing, an edit what depends on it."""

import ast
import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@cache
def _tree(path: Path) -> tuple[str, frozenset[Path]]:
    """(dump of the module's syntax tree without docstrings, project modules it imports anywhere)."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    found: set[Path] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        else:
            names = []
        for name in names:
            file = ROOT / (name.replace(".", "/") + ".py")
            if name.split(".")[0] in ("traitline", "scripts") and file.is_file():
                found.add(file)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[0].value.value = ""  # type: ignore[attr-defined]  # a docstring is an expression of a constant
    return ast.dump(tree), frozenset(found)


@cache
def digest(stage: str) -> str:
    """12 hex digits over `scripts/{stage}.py` and every project module that it imports, transitively."""
    todo, seen = [ROOT / "scripts" / f"{stage}.py"], set[Path]()
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo.extend(_tree(path)[1])
    h = hashlib.sha256()
    for path in sorted(seen):
        h.update(f"{path.relative_to(ROOT).as_posix()}\n{_tree(path)[0]}\n".encode())
    return h.hexdigest()[:12]
