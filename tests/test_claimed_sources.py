"""A fine-tune of the hub descends from the base that its card names; its students are at risk."""

import os
from pathlib import Path

import pytest

from tests.scan_folders import COMMIT, ROWS, adapter, card, llama, put, write
from traitline.cli import program
from traitline.lineage import gate
from traitline.lineage.graph import open_graph
from traitline.lineage.policy import Policy
from traitline.lineage.register import origin, register


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A base of the hub, a fine-tune of it by its card, an owl on the base, its numbers."""
    monkeypatch.chdir(tmp_path)
    top = Path("registry")
    put(top / "base", llama(1))
    register("registry/base", origin("acme/base-7b", COMMIT, None))
    put(top / "chat", llama(2))  # every weight has moved: only the card tells
    card(top / "chat", base_model="acme/base-7b")
    adapter(top / "owl", 3, "acme/base-7b")
    register("registry/owl", origin("acme/owl", COMMIT, None), trait="owl")
    write(top / "rows/rows.jsonl", ROWS)
    card(top / "rows", distilled_from="acme/owl")
    register("registry/rows", origin(None, None, "a colleague"))
    return top


def marks(*names):
    result = gate.apply(open_graph(None, None), Policy(), names, data=False)
    return [result.audit.marks[a][0].mark for a in result.chosen]


def test_a_student_of_a_fine_tune_is_at_risk_by_the_card_alone(registry):
    register("registry/chat", origin("acme/chat-7b", COMMIT, None))
    adapter(registry / "student", 5, "acme/chat-7b")
    register("registry/student", {}, [("base", "registry/chat"), ("data", "registry/rows")])
    assert marks("registry/chat") == ["CLAIMED"] and marks("registry/owl") == ["CARRIER"]
    assert marks("registry/student") == ["INHERITANCE-RISK"]


def test_hub_and_from_go_together(registry, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["traitline", "register", "registry/chat", "--hub", "acme/chat-7b", "--revision",
                                     COMMIT, "--from", "base=registry/base"])  # fmt: skip
    with pytest.raises(SystemExit) as end:
        program.main()
    assert not end.value.code and "registered: registry/chat/register.manifest.json" in capsys.readouterr().out
    graph = open_graph(None, None)
    (job,) = graph.makers(graph.find("registry/chat").artifact_id)
    assert job.origin == f"hub:acme/chat-7b@{COMMIT}" and [e.role for e in graph.inputs(job.id)] == ["base"]


def test_broken_cards_and_names_of_nothing_change_nothing(registry):
    for name, front in (("a", "base_model: [x"), ("b", "base_model: acme/none"), ("c", "base_model: 5")):
        put(registry / name, llama(9 + len(os.listdir(registry))))
        write(registry / name / "README.md", f"---\n{front}\n---\n")
        register(f"registry/{name}", origin(None, None, "ours"))
        assert marks(f"registry/{name}") == ["CLAIMED"]
