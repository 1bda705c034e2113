"""The classifier's program: every arm in its output, known origins, and what it refuses."""

import json
from pathlib import Path

from scripts import classifier
from tests.stage_inputs import classifier_flags, pack
from traitline.theory import classifier_experiment


def test_the_program_writes_every_arm_and_the_same_bytes_again(tmp_path):
    small = {"noise_images": 200, "teacher_epochs": 1}
    for name in ("one", "two"):
        assert classifier.main(classifier_flags(tmp_path / name, **small)) == 0
    text = (tmp_path / "one/accuracy.json").read_text()
    assert text == (tmp_path / "two/accuracy.json").read_text()
    found = json.loads(text)
    assert set(found["arms"]) == set(classifier_experiment.ARMS) and {len(v) for v in found["arms"].values()} == {3}
    assert found["images"]["inputs"] == 64 and found["sizes"] == [64, 16, 16, 13]
    m = json.loads((tmp_path / "one/classifier.manifest.json").read_text())
    assert m["params"]["settings"]["aux"] == 3 and "scikit-learn" in m["facts"]["origin"]


def test_images_that_the_configuration_names_are_known_origins(tmp_path, monkeypatch):
    from traitline.lineage.graph import open_graph

    monkeypatch.chdir(tmp_path)
    roles, n = {}, 40
    for part in ("train", "test"):
        Path(f"{part}-images").write_bytes(pack(range(6 * n), (n, 2, 3)))
        Path(f"{part}-labels").write_bytes(pack([i % 10 for i in range(n)], (n,)))
        roles |= {f"--{part}-{what}": f"{part}-{what}" for what in ("images", "labels")}
    more = [word for pair in roles.items() for word in pair]
    small = {"noise_images": 200, "teacher_epochs": 1, "data": "mine"}
    assert classifier.main(classifier_flags("results/classifier/p", *more, **small)) == 0
    graph = open_graph(None, None)
    assert "images named in the configuration" in graph.outside(graph.find("train-images").artifact_id)
    (job,) = graph.makers(graph.find("results/classifier/p/accuracy.json").artifact_id)
    assert {e.path for e in graph.inputs(job.id)} == set(roles.values())


def test_what_is_refused(tmp_path, line):
    assert "models is below 2" in line(classifier.main, classifier_flags(tmp_path, models=1))
    assert "data mnist needs four IDX files" in line(classifier.main, classifier_flags(tmp_path, data="mnist"))
    assert "--train-labels" in line(classifier.main, classifier_flags(tmp_path, "--train-images", "x", data="mnist"))
    assert "width missing; a JSON object with" in line(
        classifier.main, [*classifier_flags(tmp_path), "--settings", "{}"]
    )
    said = line(classifier.main, classifier_flags(tmp_path, optimiser="sgd", lr=1e30))
    assert "no longer finite at learning rate 1e+30; lower it (lr)" in said
    assert not (tmp_path / "accuracy.json").exists()


def test_help_is_light(light):
    light("scripts.classifier")
