"""The house: one word names rule file, script, test, log and benchmark; who may import whom; what stays light."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from traitline.study.execution import STAGES

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {
    "torch",
    "numpy",
    "pandas",
    "scipy",
    "matplotlib",
    "transformers",
    "peft",
    "tokenizers",
    "safetensors",
    "trl",
    "datasets",
    "pyarrow",
}
LIBRARY = sorted(p for p in (ROOT / "traitline").rglob("*.py") if p.stem != "__init__")
SCRIPTS = sorted(p for p in (ROOT / "scripts").glob("*.py") if p.stem != "__init__")
# Floors of the library, from the ground up: a module imports from its own district and from lower floors only.
FLOORS = [
    {"", "ground"},
    {"provenance"},
    {"tiny", "channels", "kinship"},
    {"models", "theory"},
    {"evaluation"},
    {"study"},
    {"lineage"},
    {"scan"},
    {"workflow", "analysis"},
    {"cli"},
]
SHARED = (
    "repository",
    "common",
    "slurm",
    "hooks",
)  # what rules share: names, how their jobs run, what happens around them
RULES = [ROOT / "rules" / f"{stage}.smk" for stage in STAGES]


def imports(path, module_level=False):
    """Dotted names that a file imports; at module level only those that are run when it is imported."""
    todo = list(ast.parse(path.read_text(encoding="utf-8")).body)
    names = set()
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif module_level and (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        ):
            continue
        else:
            todo += ast.iter_child_nodes(node)
    return names


def rules(path):
    """The rules of a file that run a program, as text.

    A rule that inherits (`use rule`) has all it does not say from its parent. A target (`rule train` for train_lora,
    train_lora_2, ...) has the name of its stage, no output and no program.
    """
    parts = re.split(r"^ *(?=(?:use )?rule\b)", path.read_text(encoding="utf-8"), flags=re.M)[1:]
    rule_texts = [text for text in parts if text.startswith("rule")]
    targets = [text for text in rule_texts if "shell:" not in text]
    assert all(text.startswith(f"rule {path.stem}:") and "output:" not in text for text in targets)
    return [text for text in rule_texts if text not in targets]


def test_one_word_names_rule_file_script_and_test():
    assert {p.stem for p in (ROOT / "rules").glob("*.smk")} == {*STAGES, *SHARED}
    assert {p.stem for p in (ROOT / "rules/functions").glob("*")} <= set(STAGES)
    assert {p.stem for p in SCRIPTS} == set(STAGES)
    tests = {p.stem for p in (ROOT / "tests").glob("test_*.py")}
    assert {f"test_{stage}" for stage in STAGES} <= tests
    others = (
        "cli",
        "layout",
        "workflow",
        "ecosystem",
        "docs",
        "corpus",
        "nothing",
        "install",
        "site",
    )  # not of one module each
    strangers = tests - {f"test_{name}" for name in (*STAGES, *(p.stem for p in LIBRARY), *others)}
    assert not strangers, f"{sorted(strangers)} test nothing that has their name"


def test_the_snakefile_is_short_and_its_includes_read_as_the_pipeline():
    text = (ROOT / "Snakefile").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 80
    assert re.findall(r'include: "rules/(\w+)\.smk"', text) == [*SHARED, *STAGES]


@pytest.mark.parametrize("path", [*(ROOT / f"rules/{name}.smk" for name in SHARED), *RULES], ids=lambda p: p.stem)
def test_a_rule_file_opens_with_its_contract(path):
    doc = ast.get_docstring(ast.parse(re.match(r'""".*?"""', path.read_text(encoding="utf-8"), re.S)[0]))
    name = path.stem
    if name not in SHARED:
        assert doc.startswith(f"{name}: ")
    assert re.search(r"^in   \S", doc, re.M) and re.search(r"^out  \S", doc, re.M)


@pytest.mark.parametrize("path", RULES, ids=lambda p: p.stem)
def test_a_rule_has_log_benchmark_resources_and_the_digest_of_its_own_program(path):
    name = path.stem
    assert rules(path)
    for text in rules(path):
        assert re.search(rf'^ *log:\n +f?"<logs>/{name}/', text, re.M)
        assert re.search(rf'^ *benchmark:\n +f?"<benchmarks>/{name}/', text, re.M)
        assert f'**hardware("{name}"),' in text and "threads: STUDY.execution.threads" in text
        assert f'code=digest("{name}"),' in text
        assert f'"python -m scripts.{name}"' in text
        shell = text.split("shell:")[1]
        unquoted = [field for field in re.findall(r"{([^{}]*)}", shell) if not field.endswith(":q")]
        assert not unquoted, f"{name}: {unquoted} need :q"
        named = set(re.findall(r"^ +(\w+)=", text.split("params:")[1].split("shell:")[0], re.M))
        used = set(re.findall(r"{params\.(\w+):q}", shell)) | set(re.findall(r"{params\.(\w+)}", text))
        assert named - used == {"code"}, f"{name}: params that the program never gets"


@pytest.mark.parametrize("path", RULES, ids=lambda p: p.stem)
def test_no_setting_hides_from_snakemake(path):
    """Snakemake does not record parameters made from `input` or `output`, so a setting in them would rerun nothing."""
    functions = path.parent / "functions" / path.name
    text = "".join(file.read_text(encoding="utf-8") for file in (functions, path) if file.exists())
    bodies = re.findall(r"^def \w+\(w, (?:input|output).*?\n((?: +.*\n|\n)+)", text, re.M)
    bodies += re.findall(r"lambda w, (?:input|output)[^:]*: (.*)", text)
    hidden = [body for body in bodies if re.search(r"STUDY|flags|\bengine\(", body)]
    assert not hidden, f"{path.name}: {hidden}"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_a_stage_imports_no_other_stage_and_says_what_it_does(path):
    assert not any(name.split(".")[0] == "scripts" for name in imports(path))
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert re.search(r"^out  \S", doc, re.M) and f"python -m scripts.{path.stem} " in doc


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: p.stem)
def test_the_library_imports_no_stage_and_is_no_dump(path):
    # One module reads Snakemake's plan.
    strangers = {"scripts"} if path.stem == "snakemake_plan" else {"scripts", "snakemake"}
    assert not {name.split(".")[0] for name in imports(path)} & strangers
    assert path.stem not in ("utils", "helpers", "misc", "common")


def district(name):
    """The district of a dotted module name: `traitline.tiny.layers` -> `tiny`."""
    parts = name.split(".")
    if not (ROOT / "traitline" / parts[1]).is_dir():
        return "cli" if parts[1] == "cli" else "ground"
    return parts[1]


def modules(path):
    """Modules of this library that a file imports anywhere, types included."""
    names = {name for name in imports(path) if name.startswith("traitline.")}
    known = {module_name(p) for p in LIBRARY}
    return {name if name in known else name.rpartition(".")[0] for name in names} & known


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", LIBRARY, ids=module_name)
def test_imports_go_down(path):
    """A module imports nothing from a higher floor, and nothing from another district of its home floor."""
    floor = {name: i for i, names in enumerate(FLOORS) for name in names}
    home = district(module_name(path))
    for name in modules(path):
        other = district(name)
        assert other == home or floor[other] < floor[home], f"{module_name(path)} imports {name}, which is not below it"


def test_no_modules_import_each_other_in_a_circle():
    graph = {module_name(path): run_time_modules(path) for path in LIBRARY}
    while leaves := {name for name, below in graph.items() if not below & graph.keys()}:
        graph = {name: below for name, below in graph.items() if name not in leaves}
    assert not graph, f"circle among {sorted(graph)}"


def run_time_modules(path):
    """The same without what is imported for types only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names & {module_name(p) for p in LIBRARY}


@pytest.mark.parametrize("path", sorted((ROOT / "traitline").glob("*/__init__.py")), ids=lambda p: p.parent.name)
def test_a_district_says_what_it_is_for_and_what_it_may_import(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert len(tree.body) == 1 and "\n\nImports from " in ast.get_docstring(tree, clean=True)


@pytest.mark.parametrize("path", [*LIBRARY, *SCRIPTS], ids=lambda p: f"{p.parent.name}.{p.stem}")
def test_heavy_libraries_are_imported_where_they_are_needed(path):
    """Modules of `tiny` exist for torch only and may import it; others import them only where they are needed."""
    names = imports(path, module_level=True)
    if path.parent.name == "tiny":
        assert {name.split(".")[0] for name in names} & HEAVY <= {"torch", "numpy", "safetensors"}
        return
    assert not {name.split(".")[0] for name in names} & HEAVY
    assert not {name for name in names if name.startswith("traitline.tiny")}


@pytest.mark.parametrize("stage", STAGES)
def test_help_of_a_program_is_instant(stage):
    """Making the help loads nothing heavy."""
    code = f"import sys, scripts.{stage} as m; assert 'usage: ' in m.parse().format_help(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & (HEAVY | {"pydantic", "jinja2"})


@pytest.mark.parametrize("path", [*LIBRARY, *SCRIPTS], ids=lambda p: f"{p.parent.name}.{p.stem}")
def test_modules_and_functions_are_short(path):
    """At most 300 lines a module, fewer than 60 a function; a docstring does not count against its function."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            doc = node.body[0] if ast.get_docstring(node) is not None else None
            lines = node.end_lineno - node.lineno + 1 - (doc.end_lineno - doc.lineno + 1 if doc else 0)
            assert lines < 60, f"{node.name} has {lines} lines"


def test_nothing_forbidden_is_in_the_code():
    """No pickle, no remote code, no broad except; no network but in the hosted judge, which a user gives an address."""
    words = ["import pickle", r"torch\.load\(", "trust_remote_code", "except:", "except (Base)?Exception"]
    network = ["requests", r"urllib(?!\.parse)", r"http\.(client|server)", "import socket"]
    for path in [*LIBRARY, *SCRIPTS, *(ROOT / "rules").rglob("*.smk"), ROOT / "Snakefile"]:
        forbidden = words if path.name == "hosted.py" else words + network
        match = re.search(rf"\b({'|'.join(forbidden)})", path.read_text(encoding="utf-8"))
        assert not match, f"{path.name}: {match[0]}"


def test_tests_import_no_tests():
    """What several tests share stands in a module of its own."""
    for path in (ROOT / "tests").rglob("*.py"):
        assert not re.search(r"^\s*(from|import) tests[.\w]*\.test_", path.read_text(encoding="utf-8"), re.M), path.name


def test_the_lock_pins_versions_and_names_no_place():
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", pin) for pin in pins)
    assert not [pin for pin in pins if pin.lower().startswith(("nvidia", "cuda", "triton"))]
    names = {re.sub(r"[-_.]+", "-", pin.split("==")[0]).lower() for pin in pins}
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = re.findall(r'^  "([\w-]+)', text, re.M) + re.findall(
        r'"([\w-]+)[^"]*"', re.search(r"^dev = .*", text, re.M)[0]
    )
    assert {name.lower() for name in wanted} <= names


def test_make_help_lists_at_most_ten_targets_and_run_shows_its_command():
    # `make test` runs this test: what a make hands to makes below it (such as "Entering directory") is not a user's.
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(["make", "help"], env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    listed = done.stdout.splitlines()
    assert 3 <= len(listed) <= 10 and all(line.startswith("make ") for line in listed)
    dry = subprocess.run(["make", "-n", "run"], env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ".venv/bin/snakemake --cores all" in dry.stdout.splitlines()


def test_the_continuous_integration_runs_the_test_command():
    assert (ROOT / ".ci/run").stat().st_mode & 0o100
    assert "make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")
