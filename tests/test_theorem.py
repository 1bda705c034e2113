"""The theorem's program: its table and figure."""

import json
from pathlib import Path

from scripts import theorem
from traitline.theory import theorem_claims, theorem_conditions


def test_the_program_writes_the_table_and_the_figure_and_the_same_bytes_again(tmp_path, monkeypatch):
    for module in (theorem, theorem_conditions):
        monkeypatch.setattr(module, "SIZES", (1e-4, 1e-2))
    for name in ("one", "two"):
        flags = f"--networks 1 --seed 1 --folder {tmp_path}/{name} --manifest {tmp_path}/{name}/theorem.manifest.json"
        assert theorem.main(flags.split()) == 0
    for name in ("theorem.json", "theorem.svg"):
        assert Path(tmp_path, "one", name).read_bytes() == Path(tmp_path, "two", name).read_bytes()
    assert json.loads(Path(tmp_path, "one/theorem.manifest.json").read_text())["facts"]["origin"]
    found = json.loads(Path(tmp_path, "one/theorem.json").read_text())
    assert len(found["claims"]) == len(theorem_claims.CLAIMS) and len(found["ends"]) == 2 * len(
        theorem_conditions.CONDITIONS
    )


def test_help_is_light(light):
    light("scripts.theorem")
