"""Models of transformers: what it cannot open is refused."""

import json

import pytest

from traitline.errors import InputError
from traitline.models.transformers_model import load


def test_an_architecture_that_transformers_does_not_know_is_refused(raw_qwen2, tmp_path):
    import shutil

    copy = shutil.copytree(raw_qwen2, tmp_path / "m")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "model_type": "nobody"}))
    with pytest.raises(InputError, match="transformers can't open it"):
        load(copy, "float32")
