"""`make sbom`: a bill in CycloneDX' shape, with all that the lock file pins."""

import importlib.metadata
import json
import re
import subprocess
import sys

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from ctxfy_support.tests.processes import PROJECT_DIRECTORY
from ctxfy_support.tests.sbom import LOCK


@pytest.fixture(scope="module")
def bill(tmp_path_factory):
    path = tmp_path_factory.mktemp("sbom") / "sbom.cdx.json"
    command = [sys.executable, "-m", "ctxfy_support.tests.sbom", str(path)]
    subprocess.run(command, cwd=PROJECT_DIRECTORY, check=True)
    return json.loads(path.read_text())


def test_has_what_the_format_asks_for(bill):
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bill["serialNumber"])
    allowed = {"type", "bom-ref", "name", "version", "purl", "scope", "hashes", "properties"}
    for component in bill["components"]:
        assert set(component) <= allowed
        assert component["type"] == "library"
        assert component["purl"] == f"pkg:pypi/{component['name']}@{component['version']}"
        assert component["hashes"]
        for row in component["hashes"]:
            assert re.fullmatch("[0-9a-f]{64}", row["content"])


def test_names_every_pinned_package(bill):
    pinned = re.findall(r"^([a-z0-9._-]+)\S*==", LOCK.read_text(), re.MULTILINE)
    assert [component["name"] for component in bill["components"]] == pinned
    assert len(set(pinned)) == len(pinned) > 20


def test_has_the_versions_that_are_installed(bill):
    for component in bill["components"]:
        marker = [p["value"] for p in component.get("properties", ())]
        if not marker or Marker(marker[0]).evaluate():
            assert importlib.metadata.version(component["name"]) == component["version"]


def test_says_what_needs_what(bill):
    refs = {component["bom-ref"] for component in bill["components"]}
    root = bill["metadata"]["component"]["bom-ref"]
    needs = {row["ref"]: set(row["dependsOn"]) for row in bill["dependencies"]}
    assert set(needs) == refs | {root}
    direct = (PROJECT_DIRECTORY / "requirements.in").read_text().splitlines()
    names = {Requirement(line.partition("#")[0]).name for line in direct if line[0] not in "#-"}
    assert {ref.partition("/")[2].partition("@")[0] for ref in needs[root]} == names
    # Nothing is there that nobody needs.
    assert set().union(*needs.values()) == refs
    asgiref = next(ref for ref in refs if "/asgiref@" in ref)
    assert asgiref in next(of for ref, of in needs.items() if "/django@" in ref)
