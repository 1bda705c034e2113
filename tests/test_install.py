"""The light installation: the wheel and what it asks for, nothing else, on the artifacts of a real study."""

import importlib.metadata
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.lineage import Works
from tests.scan_folders import llama, put

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "snakemake", "dvc", "transformers", "pandas", "pyarrow", "scipy", "huggingface_hub")
LARGEST = 110  # MB of everything that is installed, numpy's 60 among them


def requirements():
    """Every distribution that the project's core dependencies bring, with what those need themselves."""
    todo = re.findall(r'^  "([\w-]+)', (ROOT / "pyproject.toml").read_text().split("[project.optional")[0], re.M)
    assert len(todo) >= 5
    names = set()
    while todo:
        name = todo.pop()
        if name not in names:
            names.add(name)
            needed = importlib.metadata.requires(name) or []
            todo += [re.match(r"[\w.-]+", text)[0] for text in needed if "extra ==" not in text and "win32" not in text
                     and "platform_system" not in text]  # fmt: skip
    return [importlib.metadata.distribution(name) for name in names]


@pytest.fixture(scope="module")
def light(tmp_path_factory):
    """An environment that was empty, with the wheel in it and the project's core dependencies."""
    top = tmp_path_factory.mktemp("light")
    source, site = top / "source", None
    shutil.copytree(ROOT / "traitline", source / "traitline", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "-w", top, source], check=True)
    venv.create(top / "venv", symlinks=True)
    site = next((top / "venv/lib").glob("python3*/site-packages"))
    with zipfile.ZipFile(next(top.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    for distribution in requirements():
        for file in distribution.files:
            if ".." not in file.parts and "__pycache__" not in file.parts and "tests" not in file.parts:
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                (site / file).hardlink_to(file.locate())
    yield top / "venv/bin/python"


def ran(python, *words, cwd):
    """(exit code, output, error) of the program."""
    code = "import sys; from traitline.cli.program import main; sys.exit(main())"
    done = subprocess.run([python, "-P", "-c", code, *words], cwd=cwd, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def test_the_light_installation_answers_every_question_about_a_real_study(light, study, tmp_path):
    student = study.students("lora", study.owl) / "seed-1/adapter_model.safetensors"
    here = tmp_path / "models"  # no repository, and none of the usual folders
    shutil.copytree(study.root, here / "copied")
    student = here / "copied" / student.relative_to(study.root)
    code, out, _ = ran(light, "audit", "--json", student, cwd=here)
    assert (code, json.loads(out)["artifacts"][0]["mark"]) == (3, "INHERITANCE-RISK")
    code, out, _ = ran(light, "trace", student, cwd=here)
    assert "TRAIT owl" in out and "sample" in out
    code, out, _ = ran(light, "impact", here / "copied/bases/a/model.safetensors", cwd=here)
    assert code == 0 and "built-on" in out
    code, out, _ = ran(light, "verify", "--in", "copied", cwd=here)
    assert "0 changed" in out
    foreign = here / "foreign"
    foreign.mkdir()
    (foreign / "rows.jsonl").write_text('{"id": "a"}\n')
    code, out, _ = ran(light, "register", "foreign", "--origin", "ours", cwd=here)
    assert code == 0 and "registered: foreign/register.manifest.json" in out
    assert ran(light, "page", "x.html", cwd=here)[0] == 0 and (here / "x.html").stat().st_size > 10_000
    assert ran(light, "seal", "copied", cwd=here)[0] == 0
    code, out, _ = ran(light, "scan", "copied", "--cache", here / "hashes", cwd=here)
    assert code == 3 and re.search(r"^INHERITANCE-RISK.*seed-1/adapter_model.safetensors  \(recorded\)", out, re.M)


def test_what_a_light_installation_lacks_is_named_with_the_extra_that_brings_it(light, tmp_path):
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\n")
    (tmp_path / ".dvc").mkdir()
    code, _, error = ran(light, "restore", cwd=tmp_path)
    assert (code, error) == (2, "traitline: error: this needs dvc, which is not installed; "
                             "pip install 'traitline[pipeline]'\n")  # fmt: skip
    for library in HEAVY:
        missing = subprocess.run([light, "-c", f"import {library}"], capture_output=True, check=False)
        assert missing.returncode, f"{library} is in the light installation"


def test_the_light_installation_is_small_and_its_help_takes_no_time(light, tmp_path):
    site = next(light.parent.parent.glob("lib/python3*/site-packages"))
    assert sum(p.stat().st_size for p in site.rglob("*") if p.is_file()) < LARGEST * 1e6
    seconds = []
    for _ in range(4):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert "  trace " in ran(light, "--help", cwd=tmp_path)[1]
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.3, seconds


def programs(light, folder):
    """A folder with the program, as an installation puts it on the path."""
    program = folder / "bin/traitline"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {light} -P -c "from traitline.cli.program import main; main()" "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(folder / "cache")}


def test_the_action_stops_a_release_and_lets_another_pass(light, tmp_path):
    """Its own command, with the inputs that it hands over; what it installs first is what `light` has."""
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    install, gate = action["runs"]["steps"]
    assert install["run"].startswith("python -m pip install") and install["run"].endswith('"$GITHUB_ACTION_PATH"')
    assert set(gate["env"].values()) == {f"${{{{ inputs.{name} }}}}" for name in action["inputs"]}
    environment = programs(light, tmp_path) | {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    put(tmp_path / "models/a b", llama(1))
    Works(tmp_path / "ours").base("a")
    inputs = {name.upper(): value["default"] for name, value in action["inputs"].items()}

    def gated(**changed):
        command = ["bash", "-e", "-c", gate["run"]]
        env = environment | inputs | changed
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    stopped = gated(FOLDERS="models ours", KIN="true")
    assert stopped.returncode == 3 and "UNKNOWN" in stopped.stdout and not stopped.stderr
    assert "1 UNKNOWN, 1 CLEAN" in (tmp_path / "summary.md").read_text()
    assert gated(FOLDERS="ours").returncode == 0
    (tmp_path / "policy.yaml").write_text("fail: [CARRIER]\n")
    assert gated(FOLDERS="models", POLICY="policy.yaml").returncode == 0
    assert gated(FOLDERS="$(touch owned)").returncode == 2 and not (tmp_path / "owned").exists()


def test_the_hooks_run_and_start_at_what_they_look_at(light, tmp_path):
    environment = programs(light, tmp_path)
    Works(tmp_path / "ours").base("a")
    for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()):
        assert hook["language"] == "python" and re.search(hook["files"], "results/a/train.manifest.json")
        done = subprocess.run(hook["entry"].split(), cwd=tmp_path / "ours", env=environment, check=False)
        assert done.returncode == 0
    put(tmp_path / "ours/x", llama(1))
    assert subprocess.run(["traitline", "scan"], cwd=tmp_path / "ours", env=environment, check=False).returncode == 3


def test_the_container_copies_what_the_wheel_needs():
    """No container can be built where the tests run; every file that it copies is there, and is not ignored."""
    text, ignored = (ROOT / "Dockerfile").read_text(), (ROOT / ".dockerignore").read_text().split()
    copied = [word for line in re.findall(r"^COPY (.*) \S+$", text, re.M) for word in line.split()]
    assert all((ROOT / name).exists() and f"!{name}" in ignored for name in copied)
    assert {"pyproject.toml", "README.md", "LICENSE", "traitline"} == set(copied)


def test_the_container_file_is_carried_out_line_by_line(tmp_path):
    """Its own lines, below a folder in place of /; what pip would bring from afar is here already."""
    lines = dict(re.findall(r"^(RUN|ENTRYPOINT|USER|WORKDIR) (.*)$", (ROOT / "Dockerfile").read_text(), re.M))
    for words in re.findall(r"^COPY (.*)$", (ROOT / "Dockerfile").read_text(), re.M):
        *sources, target = words.split()
        for name in sources:
            place = tmp_path / target.lstrip("/") / (name if target.endswith("/") else "")
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            place.parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / name, place)
    (tmp_path / "bin").mkdir()
    for name, text in {"useradd": 'echo "$@" > "$TOP/users"', "python": f'exec {sys.executable} "$@"'}.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    pip = {"PIP_TARGET": str(tmp_path / "site"), "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    path = f"{tmp_path / 'site/bin'}:{tmp_path / 'bin'}:/usr/bin:/bin"
    environment = {**os.environ, **pip, "PATH": path, "EXTRAS": "", "TOP": str(tmp_path)}
    run = lines["RUN"].replace("/source", f"{tmp_path}/source")
    subprocess.run(["sh", "-e", "-c", run], env=environment, cwd=tmp_path, check=True, capture_output=True)
    assert not (tmp_path / "source").exists(), "the image keeps no source"
    assert (tmp_path / "users").read_text().split() == ["--create-home", lines["USER"]]
    work = tmp_path / lines["WORKDIR"].lstrip("/")
    put(work / "m", llama(1))
    environment |= {"PYTHONPATH": str(tmp_path / "site"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    words = [*json.loads(lines["ENTRYPOINT"]), "scan", "."]
    done = subprocess.run(words, env=environment, cwd=work, capture_output=True, text=True, check=False)
    assert done.returncode == 3 and "m/model.safetensors" in done.stdout, done.stderr
