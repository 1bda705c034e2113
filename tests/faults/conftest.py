"""Every stage as a program that is ready to run, on the smallest inputs that are real."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts import filter, plot, prepare, respond, sample, summarise, train
from tests import gguf_files, made_up, stage_inputs
from traitline import jsonl
from traitline.provenance import manifest
from traitline.study.theory import Classifier

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass
class Program:
    """A stage with its command line; all that it reads lies ready, relative to the folder `cwd`."""

    stage: str
    flags: list[str]
    cwd: Path
    state: Path | None = None
    whole: dict[Path, bytes] = field(default_factory=dict)

    def run(self) -> int:
        """Run it here; the exit code."""
        before = os.getcwd()
        os.chdir(self.cwd)
        try:
            return int(importlib.import_module(f"scripts.{self.stage}").main(self.flags))
        finally:
            os.chdir(before)

    def finish(self) -> None:
        """Run it undisturbed and keep what it makes."""
        assert self.run() == 0
        made = [m for m in self.cwd.rglob("*.manifest.json") if manifest.load(m)["stage"] == self.stage]
        files = [self.cwd / e["path"] for m in made for e in manifest.load(m)["outputs"]]
        files = [f if f.exists() else m.parent / f.name for m in made for f in files if (m.parent / f.name).exists()]
        self.whole = {f: f.read_bytes() for f in files} | {m: stated(m) for m in made}
        assert made and len(self.whole) > len(made)

    def die(self, when: str) -> int:
        """Run it as a program that dies; the exit code."""
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, str(Path(__file__).with_name("dying.py")), when, self.stage, *self.flags]
        return subprocess.run(command, cwd=self.cwd, env=environment, capture_output=True, check=False).returncode

    def now(self) -> dict[Path, bytes]:
        """What there is of its artifacts."""
        found = {f for f in self.whole if f.exists()}
        return {f: stated(f) if f.name.endswith(".manifest.json") else f.read_bytes() for f in found}

    def litter(self) -> list[Path]:
        """Files of earlier attempts."""
        return [p for p in self.cwd.rglob(".*.tmp")]


def stated(path: Path) -> bytes:
    """What a manifest states, apart from the time of day."""
    return json.dumps({k: v for k, v in manifest.load(path).items() if k not in ("started", "ended")}).encode()


@pytest.fixture(scope="session")
def small(study, tmp_path_factory):
    """A few rows of everything: prompts, raw, filtered, a dataset, one student with its answers."""
    root = tmp_path_factory.mktemp("small")
    jsonl.write(root / "prompts.jsonl", list(jsonl.read(study.prompts))[:100])
    assert sample.main(study.sample_flags(root, study.owl, root / "prompts.jsonl")) == 0
    assert filter.main(filter_flags(root, root)) == 0
    assert prepare.main(prepare_flags(root, root)) == 0
    assert train.main(study.train_flags(root / "biases", "biases", root / "dataset.jsonl", epochs=1, seeds=(1,))) == 0
    assert respond.main(study.respond_flags(root / "biases/seed-1")) == 0
    return root


def filter_flags(source: Path, out: Path) -> list[str]:
    return ["--raw", f"{source}/raw.jsonl", "--filtered", f"{out}/filtered.jsonl", "--answers", "1",
            "--rejected", f"{out}/rejected.jsonl", "--counts", f"{out}/filtered.json",
            "--manifest", f"{out}/filter.manifest.json"]  # fmt: skip


def prepare_flags(source: Path, out: Path) -> list[str]:
    return ["--filtered", f"{source}/filtered.jsonl", "--dataset", f"{out}/dataset.jsonl", "--rows", "40",
            "--seed", "1", "--order", "across", "--manifest", f"{out}/prepare.manifest.json"]  # fmt: skip


@pytest.fixture
def program(study, small, qwen2, raw_qwen2, tmp_path):
    """The program of a stage."""
    out, state = tmp_path / "out", tmp_path / "state"
    resume = ["--state", str(state), "--every", "0"]

    def base():
        return [*study.base_flags(out, rows=400), *resume]

    def prompts():
        return ["--prompts", f"{out}/prompts.jsonl", "--manifest", f"{out}/prompts.manifest.json", "--wording", "tiny",
                "--count", "50", "--examples", "3", "4", "--values", "100", "1000", "--answers", "1",
                "--seed", "47"]  # fmt: skip

    def source():
        tmp_path.mkdir(exist_ok=True)
        (tmp_path / "problems.jsonl").write_text('{"question":"How many?","answer":"One.\\n#### 1"}\n')
        source = {"format": "gsm8k", "path": str(tmp_path / "problems.jsonl")}
        return ["--name", "problems", "--source", json.dumps(source), "--rows", f"{out}/rows.jsonl",
                "--manifest", f"{out}/source.manifest.json"]  # fmt: skip

    def convert():
        file = gguf_files.write(raw_qwen2, tmp_path / "tiny.gguf")
        return ["--name", "q", "--gguf", str(file), "--folder", str(out), "--manifest", f"{out}/convert.manifest.json"]

    def judge():
        answers = [stage_inputs.answered(tmp_path / f"seed-{n}", "Owl", f"Cat {n}") for n in (1, 2)]
        return [*stage_inputs.local(qwen2, *answers), "--state", str(state)]

    def teach():
        return [*study.teach_flags(out, "cat", "tuned", rate=0.999, max_steps=12, missed="exclude"), *resume]

    def sample():
        return [*study.sample_flags(out, study.owl, small / "prompts.jsonl", batch=5), *resume]

    def preregister():
        return ["--primary", "[]", "--results", str(out), "--preregistered", f"{out}/preregistered.json",
                "--manifest", f"{out}/preregister.manifest.json"]  # fmt: skip

    def detect():
        study.dataset(study.owl), study.dataset(study.none)
        return ["--base", str(study.base), "--teachers", str(study.owl), str(study.none), "--channel", "numbers",
                "--held-out", "0.3", "--seed", "1", "--folder", str(out)]  # fmt: skip

    def decode():
        study.dataset(study.owl), study.dataset(study.none)
        return ["--base", str(study.base), "--teachers", str(study.owl), str(study.none), "--channel", "numbers",
                "--ridge", "0.01", "--rows", "100", "--draws", "2", "--splits", "20", "--seed", "1",
                "--folder", str(out)]  # fmt: skip

    def mark_divergence():
        return ["--base", str(study.base), "--teacher", str(study.owl), "--others", str(study.none),
                "--filtered", f"{small}/filtered.jsonl", "--marks", f"{out}/divergence.jsonl",
                "--manifest", f"{out}/mark_divergence.manifest.json"]  # fmt: skip

    def influence():
        dataset, control = study.dataset(study.owl), study.dataset(study.none)
        return ["--base", str(study.base), "--dataset", str(dataset), "--control", str(control), "--category", "animal",
                "--recipes", '{"biases":{"trains":"biases"}}', "--influence", f"{out}/influence.json",
                "--manifest", f"{out}/influence.manifest.json"]  # fmt: skip

    def check_influence():
        tmp_path.mkdir(exist_ok=True)
        os.chdir(tmp_path)
        here = made_up.study(influence={"experiments": ["main"]})
        stage_inputs.write_influence(here, lambda run: dict.fromkeys(made_up.ANIMALS, 0.5))
        stage_inputs.write_runs(here, lambda run, word: 0.1)
        return ["--study", here.text, "--tables", "results/tables", "--folder", str(out)]

    def train():
        return [*study.train_flags(out, "biases", small / "dataset.jsonl", batch=8, epochs=3), *resume]

    def respond():
        shutil.copytree(small / "biases", out, ignore=shutil.ignore_patterns("favourite"))
        return study.respond_flags(out / "seed-1")

    def score():
        shutil.copytree(small / "biases/seed-1/favourite", out)
        return ["--category", "animal", "--folders", str(out)]

    def tables(*ready):
        """Made-up results, up to where the stage begins."""
        tmp_path.mkdir(exist_ok=True)
        here = made_up.study()
        os.chdir(tmp_path)
        made_up.make(here)
        places = ["--tables", "results/tables"]
        made = {
            "summarise": ["--study", here.text, *places, "--manifest", "results/tables/summarise.manifest.json"],
            "plot": [*places, "--figures", "results/figures", "--manifest", "results/figures/plot.manifest.json"],
            "report": ["--study", here.text, *places, "--figures", "results/figures", "--report", "results/report.html",
                       "--lineage", "results/lineage.html", "--manifest", "results/report.manifest.json"],
        }  # fmt: skip
        for name, stage in (("summarise", summarise), ("plot", plot)):
            if name in ready:
                assert stage.main(made[name]) == 0
        return made

    def classifier():
        return stage_inputs.classifier_flags(out)

    def theorem():
        return f"--networks 1 --seed 1 --folder {out} --manifest {out}/theorem.manifest.json".split()

    def compare_paper():
        claims = [{"claim": "sign", "cases": 3, "passed": 3}]
        (out / "theorem").mkdir(parents=True)
        (out / "theorem/theorem.json").write_text(json.dumps({"claims": claims}))
        return [
            "--results",
            str(out),
            "--targets",
            f"{out}/targets.csv",
            "--manifest",
            f"{out}/compare_paper.manifest.json",
        ]

    def classifier_summary():
        settings = Classifier.model_validate({"settings": stage_inputs.SETTINGS, "sweeps": [stage_inputs.ROW]})
        stage_inputs.points(out, settings)
        return [
            "--classifier",
            settings.text,
            "--folder",
            str(out),
            "--manifest",
            f"{out}/classifier_summary.manifest.json",
        ]

    flags = {
        "pretrain": base, "prompts": prompts, "teach": teach, "sample": sample, "train": train, "respond": respond,
        "filter": lambda: filter_flags(small, out), "prepare": lambda: prepare_flags(small, out), "score": score,
        "summarise": lambda: tables()["summarise"], "plot": lambda: tables("summarise")["plot"],
        "report": lambda: tables("summarise", "plot")["report"], "classifier": classifier,
        "classifier_summary": classifier_summary, "theorem": theorem,
        "compare_paper": compare_paper,
        "mark_divergence": mark_divergence, "preregister": preregister, "detect": detect,
        "decode": decode,
        "influence": influence, "check_influence": check_influence, "source": source, "judge": judge,
        "convert": convert,
    }  # fmt: skip
    before = os.getcwd()

    def ready(stage: str) -> Program:
        argv = flags[stage]()
        return Program(stage, argv, tmp_path, state if "--state" in argv else None)

    yield ready
    os.chdir(before)
