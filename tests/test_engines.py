"""Engines: which one opens, and what a manifest says of it."""

import json

import pytest

from tests.conftest import ENGINE
from traitline.errors import InputError
from traitline.models import engines
from traitline.models.fake_engine import Fake
from traitline.models.tiny_engine import Tiny


def test_a_bases_folder_decides_which_engine_opens(study, qwen2):
    assert type(engines.open_engine(study.base, None)) is Tiny
    assert type(engines.open_engine(qwen2, json.dumps({**ENGINE, "name": "fake"}))) is Fake
    with pytest.raises(InputError, match="'none' is none; known: transformers, vllm, fake"):
        engines.open_engine(qwen2, json.dumps({**ENGINE, "name": "none"}))


def test_only_open_weights_name_their_engine_in_a_manifest(study, qwen2):
    text = json.dumps({**ENGINE, "name": "fake"})
    assert engines.facts(study.base, text) == {}
    assert engines.facts(qwen2, text)["engine"]["name"] == "fake"


def test_an_engine_is_named_with_its_version_or_refused():
    import transformers

    assert engines.about(json.dumps(ENGINE)) == {**ENGINE, "version": transformers.__version__}
    with pytest.raises(InputError, match="vllm is not installed; pip install vllm"):
        engines.about(json.dumps({**ENGINE, "name": "vllm"}))
    with pytest.raises(InputError, match="--engine: batch, dtype, memory missing"):
        engines.about('{"name": "fake"}')
