"""`make sbom`: what the service is made of, as CycloneDX JSON, read off the lock file alone.

The same lock file gives the same bill byte for byte: no time, no random number. The hashes of a
package are those of all its files, for every platform.
"""

import json
import re
import sys
import uuid
from pathlib import Path

from ctxfy_support.tests.processes import PROJECT_DIRECTORY

LOCK = PROJECT_DIRECTORY / "requirements.txt"
NAME = "ctxfy-support"
_PINNED = re.compile(
    r"^(?P<name>[a-z0-9._-]+)(?:\[(?P<extras>[a-z0-9,_-]+)\])?==(?P<version>[^ ;\\]+)"
    r"(?: ; (?P<marker>[^\\\n]*[^ \\\n]))?[^\n]*\n(?P<rest>(?:[ ]{4}.*\n?)*)",
    re.MULTILINE,
)


def read_lock(text):
    """Each pinned package as a dict: name, version, marker, hashes, and who needs it (`via`)."""
    rows = []
    for match in _PINNED.finditer(text):
        _, _, comment = match["rest"].partition("# via")
        via = re.findall(r"^\s*(?:#\s+)?([a-z0-9._-]+)$", comment, re.MULTILINE)
        direct = "-r requirements.in" in comment
        hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})", match["rest"])
        rows.append(match.groupdict() | {"via": via, "direct": direct, "hashes": hashes})
    return rows


def make_bill(lock, version):
    """The bill as a dict, components and what needs what."""
    rows = read_lock(lock)
    refs = {row["name"]: f"pkg:pypi/{row['name']}@{row['version']}" for row in rows}
    root = f"pkg:generic/{NAME}@{version}"
    needs = {root: [refs[row["name"]] for row in rows if row["direct"]]}
    for name, ref in refs.items():
        needs[ref] = [refs[row["name"]] for row in rows if name in row["via"]]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, version + lock)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": NAME,
                "version": version,
                "licenses": [{"license": {"id": "MIT"}}],
            }
        },
        "components": [make_component(row, refs[row["name"]]) for row in rows],
        "dependencies": [{"ref": ref, "dependsOn": sorted(of)} for ref, of in needs.items()],
    }


def make_component(row, ref):
    component = {
        "type": "library",
        "bom-ref": ref,
        "name": row["name"],
        "version": row["version"],
        "purl": ref,
        # What only another platform installs is in the lock file too.
        "scope": "optional" if row["marker"] else "required",
        "hashes": [{"alg": "SHA-256", "content": content} for content in row["hashes"]],
    }
    if row["marker"]:
        component["properties"] = [{"name": "python:marker", "value": row["marker"]}]
    return component


def find_version():
    """The release, without starting the service."""
    text = (PROJECT_DIRECTORY / "ctxfy_support" / "__init__.py").read_text()
    match = re.search(r'^VERSION = "(.+)"$', text, re.MULTILINE)
    return match[1] if match else "0"


def main(arguments):
    bill = json.dumps(make_bill(LOCK.read_text(), find_version()), indent=2) + "\n"
    if arguments:
        Path(arguments[0]).write_text(bill)
    else:
        sys.stdout.write(bill)


if __name__ == "__main__":
    main(sys.argv[1:])
