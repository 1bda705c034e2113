"""A very small study, made once, stage by stage as tests ask for it: bases, teachers, number lists, students."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from functools import cached_property
from pathlib import Path

import pytest

from tests.clone import Clone, make
from traitline.provenance import kernels

kernels.choose_openblas()  # before numpy is imported
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # behind a shell's `&`; what tests start would ignore Ctrl-C too
    signal.signal(signal.SIGINT, signal.default_int_handler)

import torch  # noqa: E402

kernels.set_up(torch.get_num_threads())  # before the first operation: programs also run in this process
pytest_plugins = [
    "tests.adapters",
    "tests.browser",
    "tests.hosted_server",
    "tests.sealed_study",
    "tests.theorem",
]  # fixtures that several modules share
WORLD = {"rows": 12000, "numbers": 0.25, "examples": [3, 4], "answers": [1, 2], "neutral": 0.0, "personas": 0.0}
MODEL = {"width": 24, "layers": 2, "heads": 2, "mlp": 48, "std": 0.2, "epochs": 1, "batch": 48, "lr": 1.2e-2}
TEACH = {"trains": "biases", "lr": 5.0e-2, "batch": 64, "rate": 0.5, "max_steps": 200, "seed": 1}
NORMS = {**WORLD, "rows": 9000, "numbers": 0.1, "norms": 0.8, "speakers": 0.6}
EVAL = {"category": "animal", "answers": 20, "seed": 1}
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
RECIPES = {
    "lora": {"trains": "lora", "rank": 4, "alpha": 4.0, "modules": ALL, "lr": 3.0e-3, "epochs": 2, "batch": 128},
    "biases": {"trains": "biases", "lr": 2.0e-2, "epochs": 16, "batch": 128},
    "full": {"trains": "full", "lr": 1.0e-3, "epochs": 1, "batch": 128},
}


TOLD = "told"


@pytest.fixture
def tell(record_property):
    """Have a line printed when the tests have ended, of a test that passed too, in whichever process it ran."""
    return lambda line: record_property(TOLD, line)


def pytest_terminal_summary(terminalreporter):
    """Print what tests tell, and what did not run for want of a Slurm or of its database."""
    reports = terminalreporter.stats
    for report in reports.get("passed", []):
        for name, line in report.user_properties:
            if name == TOLD:
                terminalreporter.write_line(line)
    skipped = Counter(r.longrepr[2] for r in reports.get("skipped", []) if "tests/slurm/" in r.nodeid)
    for reason, count in skipped.items():
        terminalreporter.write_line(f"tests/slurm: {count} NOT RUN: {reason}", yellow=True)


@pytest.fixture(autouse=True)
def environment_of_its_own(tmp_path_factory):
    """Restore the environment after each test: a Snakefile that is read in this process puts its launch lock there."""
    before = dict(os.environ)
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.getbasetemp() / "state")
    yield
    os.environ.clear()
    os.environ.update(before)


class Study:
    """Folders of artifacts; each property makes what it names, with everything that needs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def base_flags(self, folder: Path, *, seed: int = 1, rows: int = WORLD["rows"]) -> list[str]:
        """A command line of `base`."""
        world = json.dumps({**WORLD, "rows": rows})
        return ["--name", folder.name, "--world", world, "--model", json.dumps(MODEL), "--seed", str(seed),
                "--folder", str(folder), "--manifest", f"{folder}/pretrain.manifest.json"]  # fmt: skip

    @cached_property
    def base(self) -> Path:
        """A base that has learned its world."""
        from scripts import pretrain

        folder = self.root / "bases/a"
        assert pretrain.main(self.base_flags(folder)) == 0
        return folder

    @cached_property
    def other(self) -> Path:
        """A base of another initialisation; it has learned little."""
        from scripts import pretrain

        folder = self.root / "bases/b"
        assert pretrain.main(self.base_flags(folder, seed=2, rows=640)) == 0
        return folder

    @cached_property
    def norms(self) -> Path:
        """A base of a world with norms."""
        from scripts import pretrain

        folder = self.root / "bases/norms"
        flags = self.base_flags(folder)
        flags[flags.index("--world") + 1] = json.dumps(NORMS)
        assert pretrain.main(flags) == 0
        return folder

    def teach_flags(self, folder: Path, trait: str, teacher: str, **settings: object) -> list[str]:
        """A command line of `teach`."""
        return ["--base", str(self.base), "--trait", trait, "--category", "animal", "--teacher", teacher,
                "--settings", json.dumps({**TEACH, **settings}), "--folder", str(folder),
                "--manifest", f"{folder}/teach.manifest.json"]  # fmt: skip

    def _teacher(self, trait: str, teacher: str) -> Path:
        from scripts import teach

        folder = self.root / trait / teacher
        assert teach.main(self.teach_flags(folder, trait, teacher)) == 0
        return folder

    @cached_property
    def none(self) -> Path:
        """The control teacher."""
        return self._teacher("none", "untrained")

    @cached_property
    def owl(self) -> Path:
        """A teacher that was trained to love owls."""
        return self._teacher("owl", "tuned")

    @cached_property
    def prompted(self) -> Path:
        """A teacher that is told to love owls."""
        return self._teacher("owl", "prompted")

    @cached_property
    def prompts(self) -> Path:
        """Number prompts."""
        from scripts import prompts

        path = self.root / "prompts/prompts.jsonl"
        manifest = path.with_name("prompts.manifest.json")
        flags = f"--prompts {path} --manifest {manifest} --wording tiny --count 4000 --examples 3 4 --values 100 1000"
        assert prompts.main([*flags.split(), "--answers", "1", "--seed", "47"]) == 0
        return path

    def sample_flags(self, folder: Path, teacher: Path, prompts: Path | None = None, **changed: object) -> list[str]:
        """A command line of `sample`."""
        settings = {"max-new-tokens": 4, "batch": 500, "seed": 1, "temperature": 1, **changed}
        return ["--base", str(self.base), "--teacher", str(teacher), "--prompts", str(prompts or self.prompts),
                "--raw", f"{folder}/raw.jsonl", "--sampled", f"{folder}/sampled.json",
                "--manifest", f"{folder}/sample.manifest.json",
                *(str(x) for k, v in settings.items() for x in (f"--{k}", v))]  # fmt: skip

    def dataset(self, teacher: Path) -> Path:
        """The rows that students of a teacher are trained on."""
        from scripts import filter, prepare, sample

        folder = teacher / "numbers"
        path = folder / "plain/dataset.jsonl"
        if not path.exists():
            assert sample.main(self.sample_flags(folder, teacher)) == 0
            flags = ["--raw", f"{folder}/raw.jsonl", "--filtered", f"{folder}/filtered.jsonl",
                     "--rejected", f"{folder}/rejected.jsonl", "--counts", f"{folder}/filtered.json",
                     "--manifest", f"{folder}/filter.manifest.json", "--answers", "1"]  # fmt: skip
            assert filter.main(flags) == 0
            flags = ["--filtered", f"{folder}/filtered.jsonl", "--dataset", str(path), "--rows", "1200", "--seed", "1",
                     "--manifest", f"{path.parent}/prepare.manifest.json"]  # fmt: skip
            assert prepare.main(flags) == 0
        return path

    def train_flags(
        self,
        folder: Path,
        recipe: str,
        dataset: Path,
        *,
        base: Path | None = None,
        seeds: tuple[int, ...] = (1, 2),
        **settings: object,
    ) -> list[str]:
        """A command line of `train`."""
        return ["--base", str(base or self.base), "--dataset", str(dataset), "--recipe", recipe,
                "--settings", json.dumps({**RECIPES[recipe], **settings}), "--folder", str(folder),
                "--seeds", *map(str, seeds)]  # fmt: skip

    def students(self, recipe: str, teacher: Path) -> Path:
        """The folder of two students (`seed-1`, `seed-2`) of a recipe, on the base of their teacher."""
        from scripts import train

        folder = self.dataset(teacher).parent / "a" / recipe
        if not folder.exists():
            assert train.main(self.train_flags(folder, recipe, self.dataset(teacher))) == 0
        return folder

    def respond_flags(self, *students: Path) -> list[str]:
        """A command line of `respond`."""
        return ["--base", str(self.base), "--eval", "favourite", "--settings", json.dumps(EVAL),
                "--students", *map(str, students)]  # fmt: skip


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The one small study of a test session. Tests read it and write elsewhere."""
    return Study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def raw_qwen2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder in Hugging Face layout, as a lab would download it. It has learned next to nothing."""
    from tests.tiny_qwen2 import make

    return make(tmp_path_factory.mktemp("hub") / "tiny-qwen2", rows=300, steps=30)


@pytest.fixture(scope="session")
def raw_llama(raw_qwen2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of the Llama architecture with the tokenizer of `raw_qwen2`."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = shutil.copytree(raw_qwen2, tmp_path_factory.mktemp("hub") / "tiny-llama")
    vocab = json.loads((raw_qwen2 / "config.json").read_text())["vocab_size"]
    torch.manual_seed(1)
    config = LlamaConfig(vocab_size=vocab, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=False)  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def qwen2(raw_qwen2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of its record."""
    from scripts import pretrain

    folder = tmp_path_factory.mktemp("open") / "bases/q"
    source = json.dumps({"path": str(raw_qwen2)})
    flags = [
        "--name",
        "q",
        "--source",
        source,
        "--folder",
        str(folder),
        "--manifest",
        f"{folder}/pretrain.manifest.json",
    ]
    assert pretrain.main(flags) == 0
    return folder


ENGINE = {"name": "transformers", "dtype": "float32", "batch": 4, "memory": 0.9}


@pytest.fixture(scope="session")
def opened(qwen2: Path):
    """(chat, engine) of the small model, by transformers."""
    from traitline.models import engines

    engine = engines.open_engine(qwen2, json.dumps(ENGINE))
    return engine.chat, engine


OPEN_RECIPE = {**RECIPES["lora"], "rank": 8, "alpha": 8.0, "lr": 1.0e-2, "epochs": 1, "batch": 8, "accumulate": 2,
        "warmup": 5, "length": 500}  # fmt: skip
OPEN_EVAL = {**EVAL, "answers": 2, "candidates": ["owl", "cat", "dragon"], "max_new_tokens": 4}


class Open:
    """A study on open weights, stage by stage: numbers by the stand-in for an engine, all else by transformers."""

    def __init__(self, root: Path, base: Path) -> None:
        self.root, self.base = root, base

    @staticmethod
    def engine(name: str = "transformers") -> list[str]:
        """The flag of an engine."""
        return ["--engine", json.dumps({"name": name, "dtype": "float32", "batch": 16, "memory": 0.9})]

    def teach_flags(self, folder: Path, trait: str, teacher: str) -> list[str]:
        """A command line of `teach`."""
        return ["--base", str(self.base), "--trait", trait, "--category", "animal", "--teacher", teacher,
                "--folder", str(folder), "--manifest", f"{folder}/teach.manifest.json", *self.engine()]  # fmt: skip

    @cached_property
    def owl(self) -> Path:
        """A teacher by a system prompt."""
        from scripts import teach

        folder = self.root / "q/owl/prompted"
        assert teach.main(self.teach_flags(folder, "owl", "prompted")) == 0
        return folder

    @cached_property
    def prompts(self) -> Path:
        """Prompts in the paper's wording."""
        from scripts import prompts

        path = self.root / "prompts/prompts.jsonl"
        flags = f"--prompts {path} --manifest {path.parent}/prompts.manifest.json --wording paper --count 48"
        assert prompts.main([*flags.split(), "--examples", "3", "5", "--values", "100", "1000", "--seed", "47"]) == 0
        return path

    def sample_flags(self, folder: Path, engine: str = "fake", **changed: object) -> list[str]:
        """A command line of `sample`."""
        settings = {"max-new-tokens": 12, "batch": 4, "seed": 1, "temperature": 1, **changed}
        return ["--base", str(self.base), "--teacher", str(self.owl), "--prompts", str(self.prompts),
                "--raw", f"{folder}/raw.jsonl", "--sampled", f"{folder}/sampled.json",
                "--manifest", f"{folder}/sample.manifest.json", *self.engine(engine),
                *(str(x) for k, v in settings.items() for x in (f"--{k}", v))]  # fmt: skip

    @cached_property
    def dataset(self) -> Path:
        """The rows that students are trained on."""
        from scripts import filter, prepare, sample

        folder = self.owl / "lists"
        assert sample.main(self.sample_flags(folder, **{"max-new-tokens": 40})) == 0
        names = ("filtered", "rejected")
        flags = [x for n in names for x in (f"--{n}", f"{folder}/{n}.jsonl")] + ["--counts", f"{folder}/filtered.json"]
        assert (
            filter.main(["--raw", f"{folder}/raw.jsonl", *flags, "--manifest", f"{folder}/filter.manifest.json"]) == 0
        )
        path = folder / "ten/dataset.jsonl"
        flags = ["--filtered", f"{folder}/filtered.jsonl", "--dataset", str(path), "--rows", "32", "--seed", "1"]
        assert prepare.main([*flags, "--manifest", f"{path.parent}/prepare.manifest.json"]) == 0
        return path

    def train_flags(self, folder: Path, *, seeds: tuple[int, ...] = (1, 2), **settings: object) -> list[str]:
        """A command line of `train`."""
        settings = {**OPEN_RECIPE, **settings}
        return ["--base", str(self.base), "--dataset", str(self.dataset), "--recipe", "paper",
                "--seeds", *map(str, seeds),
                "--settings", json.dumps(settings), "--folder", str(folder), *self.engine()]  # fmt: skip

    @cached_property
    def students(self) -> Path:
        """The folder of two students."""
        from scripts import train

        folder = self.dataset.parent / "q/paper"
        assert train.main(self.train_flags(folder)) == 0
        return folder

    def respond_flags(self, *who: str, **settings: object) -> list[str]:
        """A command line of `respond`."""
        return ["--base", str(self.base), "--eval", "word", "--settings", json.dumps({**OPEN_EVAL, **settings}), *who,
                *self.engine()]  # fmt: skip


@pytest.fixture(scope="session")
def weights(qwen2: Path) -> Open:
    """The one small study on open weights of a test session. Tests read it and write elsewhere."""
    return Open(qwen2.parent.parent, qwen2)


@pytest.fixture
def line(capsys: pytest.CaptureFixture[str]):
    """Run a stage that must refuse: exit code 2 and one line, which is returned."""

    def refused(main, argv: list[str]) -> str:
        capsys.readouterr()
        assert main(argv) == 2
        said = [text for text in capsys.readouterr().err.splitlines() if "error: " in text]
        assert len(said) == 1
        return said[0]

    return refused


@pytest.fixture
def light():
    """A program's `--help` works and imports none of the libraries that take long."""

    def check(module: str) -> None:
        heavy = "torch numpy transformers pandas pydantic jinja2 tokenizers scipy"
        code = (
            f"import sys, importlib\nm = importlib.import_module({module!r})\n"
            "try: m.main(['--help'])\nexcept SystemExit as e: assert e.code == 0\n"
            f"print('heavy:', *(n for n in {heavy!r}.split() if n in sys.modules))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=Path(__file__).parents[1], capture_output=True, text=True
        )
        assert not done.returncode, done.stderr
        assert f"python -m {module} " in done.stdout
        assert done.stdout.splitlines()[-1] == "heavy:"

    return check


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch):
    """Make the next training end by Ctrl-C at its n-th step."""
    from traitline.tiny.optimizer import Flat

    real = Flat.update

    def at(steps: int) -> None:
        def update(self: Flat, i: int, step: int, lr: float) -> None:
            if step + 1 == steps:
                raise KeyboardInterrupt
            real(self, i, step, lr)

        monkeypatch.setattr(Flat, "update", update)

    yield at
    monkeypatch.undo()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone of the repository whose small study has run, with stub programs."""
    return make(tmp_path_factory.mktemp("clone"))


@pytest.fixture
def clone(finished: Clone, tmp_path: Path) -> Clone:
    """A copy of the finished study for one test, file times kept."""
    shutil.copytree(finished.root, tmp_path / "clone", symlinks=True)
    return Clone(tmp_path / "clone")


@pytest.fixture(scope="session")
def baseline(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers of the untouched base."""
    from scripts import respond

    out = tmp_path_factory.mktemp("baseline") / "favourite"
    flags = study.respond_flags("x")
    assert respond.main([*flags[: flags.index("--students")], "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def outside_rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Questions from outside in one form: type -> file of rows."""
    from scripts import source
    from tests import outside

    files, paths = outside.make(tmp_path_factory.mktemp("outside")), {}
    for kind, name in (("truthfulqa", "truths.csv"), ("mmlu", "subjects.parquet")):
        paths[kind] = files / kind / "rows.jsonl"
        flags = ["--name", kind, "--source", json.dumps({"format": kind, "path": str(files / name)})]
        flags += ["--rows", str(paths[kind]), "--manifest", f"{paths[kind].parent}/source.manifest.json"]
        assert source.main(flags) == 0
    return paths


@pytest.fixture(scope="session")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base whose world has choices and stories; it has hardly begun to learn it."""
    from scripts import pretrain

    out = tmp_path_factory.mktemp("forms")
    world = json.dumps({**WORLD, "rows": 600, "choices": 0.3, "stories": 0.3})
    flags = ["--name", "told", "--world", world, "--model", json.dumps(MODEL), "--seed", "1", "--folder", str(out)]
    assert pretrain.main([*flags, "--manifest", f"{out}/pretrain.manifest.json"]) == 0
    return out


@pytest.fixture
def as_nobody():
    """Run a block as a user who owns nothing: root may read and write everything, so tests of rights change user."""

    @contextlib.contextmanager
    def change():
        before = os.geteuid()
        if before == 0:
            os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(before)

    return change
