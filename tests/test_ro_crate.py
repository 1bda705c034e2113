"""The run crate passes all required checks of its official validator, offline; and the validator would notice."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import requests_cache
from urllib3 import HTTPResponse

from tests.lineage import Works
from traitline.lineage import ro_crate

CONTEXT = Path(__file__).parent / "data/ro-crate-1.1-context.jsonld"  # CC0, as it says itself


class Disk(requests.adapters.BaseAdapter):
    """Answers every request with the context, so that the validator finds it in its cache and asks no network."""

    def send(self, request, **_):
        response = requests.Response()
        response.status_code, response.url, response.request = 200, request.url, request
        response.headers["Content-Type"] = "application/ld+json"
        body = io.BytesIO(CONTEXT.read_bytes())
        response.raw = HTTPResponse(
            body, headers=dict(response.headers), status=200, preload_content=False, request_url=request.url
        )
        return response

    def close(self):
        pass


@pytest.fixture
def validate(tmp_path, monkeypatch):
    """Exit code of the validator for the crate in the working folder."""
    monkeypatch.chdir(tmp_path)
    works = Works(tmp_path)
    base = works.base("a")
    works.student(base, works.data(works.teacher(base)))
    for path in Path("results").rglob("*.manifest.json"):  # with times as real manifests have them
        times = {"started": "2030-01-01T00:00:00+00:00", "ended": "2030-01-01T00:00:01+00:00"}
        path.write_text(json.dumps(json.loads(path.read_text()) | times))
    Path("Snakefile").write_text("rule all:\n")
    cache = tmp_path.parent / f"{tmp_path.name}-cache"
    with requests_cache.CachedSession(
        cache_name=str(cache), backend="sqlite", expire_after=-1, allowable_methods=("GET",)
    ) as session:
        session.mount("https://", Disk())
        session.get("https://w3id.org/ro/crate/1.1/context")

    def run():
        program = Path(sys.executable).with_name("rocrate-validator")
        profile = ["--profile-identifier", "provenance-run-crate-0.5", "--requirement-severity", "required"]
        quiet = ["--offline", "--cache-path", str(cache), "--no-paging", "--verbose"]
        command = [program, "-y", "validate", ".", *profile, *quiet]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def test_the_crate_is_valid_and_the_validator_would_notice_if_it_were_not(validate):
    assert ro_crate.write(["results"], "a study") == 5
    code, said = validate()
    assert code == 0, said
    file = Path("ro-crate-metadata.json")
    found = json.loads(file.read_text())
    actions = [e for e in found["@graph"] if e["@id"].startswith("#run-")]
    assert len(actions) == 5 and any(e.get("sha256") for e in found["@graph"])
    del actions[0]["instrument"]
    file.write_text(json.dumps(found))
    assert validate()[0] == 1
