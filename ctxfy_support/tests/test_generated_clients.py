"""Clients made from the served document open a ticket, read it, read a 400, outlive a new value.

Each generator's client is compiled with the program of generated_clients/ that uses it, and run
against the real service.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from threading import Thread

import pytest
import requests
from django.db import connection

from accounts.tests.factories import APIKeyFactory
from ctxfy_support.openapi import get_document
from ctxfy_support.tests.loopback import HOST
from ctxfy_support.tests.test_published_clients import go_env, require  # noqa: F401

pytestmark = pytest.mark.skipif(connection.vendor != "sqlite", reason="looked at on SQLite")
PROGRAMS = Path(__file__).parent / "generated_clients"
# Short-lived: what Java's second compiler and other collectors would win, they cost.
JAVA = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
GENERATORS = {
    "python": {},
    "typescript-fetch": {},
    "go": {"gitHost": "example.com", "gitUserId": "ctxfy", "gitRepoId": "support"},
}
CONTEXT = {"model": "m-1", "attempt": 1795514461, "retried": True, "trace": None}


def run(*command, cwd=None, env=None):
    """Return what the command prints; fail with all that it said if it fails."""
    process = subprocess.run(
        command, cwd=cwd, env=os.environ | (env or {}), capture_output=True, text=True, timeout=100
    )
    if process.returncode != 0:
        pytest.fail(f"{command}: {process.stdout}\n{process.stderr}")
    return process.stdout


@pytest.fixture(scope="module")
def document(module_service, tmp_path_factory):
    """The document as it is served, in a file."""
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    path.write_bytes(requests.get(f"{module_service.url}/openapi.json", timeout=30).content)
    return path


@pytest.fixture(scope="module")
def openapi_generator(document, tmp_path_factory):
    """The folder with openapi-generator's clients, all made by one Java."""
    require("java")
    directory = tmp_path_factory.mktemp("openapi-generator")
    for name, options in GENERATORS.items():
        text = {"generatorName": name, "inputSpec": str(document)} | options
        text["outputDir"] = str(directory / name)
        (directory / f"{name}.json").write_text(json.dumps(text))
    jar = str(files("openapi_generator_cli") / "openapi-generator.jar")
    configurations = [str(directory / f"{name}.json") for name in GENERATORS]
    run(*JAVA, "-jar", jar, "batch", "--fail-fast", "--threads", "1", *configurations)
    return directory


@pytest.fixture(scope="module")
def node_modules(pytestconfig):
    """The packages of generated_clients/package-lock.json, kept beside pytest's own cache."""
    for program in ("node", "npm"):
        require(program)
    lock = (PROGRAMS / "package-lock.json").read_bytes()
    directory = Path(pytestconfig.cache.mkdir(f"npm-{hashlib.sha256(lock).hexdigest()[:12]}"))
    if not (directory / "installed").exists():
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PROGRAMS / name, directory)
        install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        status = subprocess.run(install, cwd=directory, capture_output=True, timeout=100).returncode
        if status and os.environ.get("CI") != "true":
            pytest.skip("npm cannot install TypeScript and openapi-typescript")
        assert status == 0
        (directory / "installed").touch()
    return directory / "node_modules"


def compile_typescript(directory, program, node_modules):
    """Return the command that runs this program, which TypeScript finds nothing wrong with."""
    (directory / "node_modules").symlink_to(node_modules)
    shutil.copy(PROGRAMS / program, directory)
    compiler = node_modules / "typescript" / "bin" / "tsc"
    options = ["--strict", "--target", "es2022", "--module", "commonjs", "--outDir", "built"]
    run("node", compiler, *options, "--skipLibCheck", program, cwd=directory)
    return ["node", directory / "built" / Path(program).with_suffix(".js")]


@pytest.fixture
def generator_python(openapi_generator):
    client = openapi_generator / "python"
    return [sys.executable, PROGRAMS / "generator_python.py"], {"PYTHONPATH": str(client)}


@pytest.fixture
def generator_go(openapi_generator, go_env):  # noqa: F811
    require("go")
    client = openapi_generator / "go"
    # The client's own tests need a package from elsewhere.
    shutil.rmtree(client / "test")
    (client / "program").mkdir()
    shutil.copy(PROGRAMS / "generator_go.go", client / "program" / "main.go")
    run("go", "build", "-o", client / "built", "./program", cwd=client, env=go_env)
    return [client / "built"], {}


@pytest.fixture
def generator_fetch(openapi_generator, node_modules, tmp_path):
    shutil.move(openapi_generator / "typescript-fetch", tmp_path / "fetch-client")
    return compile_typescript(tmp_path, "generator_fetch.ts", node_modules), {}


@pytest.fixture
def python_client(document, tmp_path):
    (tmp_path / "config.json").write_text('{"post_hooks": []}')
    run(
        *(sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning"),
        *("--path", document, "--config", tmp_path / "config.json", "--meta", "none"),
        *("--output-path", tmp_path / "ctxfy_client"),
    )
    return [sys.executable, PROGRAMS / "python_client.py"], {"PYTHONPATH": str(tmp_path)}


@pytest.fixture
def openapi_typescript(document, node_modules, tmp_path):
    generator = node_modules / "openapi-typescript" / "bin" / "cli.js"
    run("node", generator, document, "--output", tmp_path / "paths.d.ts")
    return compile_typescript(tmp_path, "openapi_typescript.ts", node_modules), {}


class LaterVersion(BaseHTTPRequestHandler):
    """Answers whatever ticket is asked for with values and fields that nobody knows yet."""

    def do_GET(self):
        operation = get_document()["paths"]["/v1/support/tickets/{id}"]["get"]
        content = operation["responses"]["200"]["content"]["application/json"]
        [example] = content["examples"].values()
        new = {"state": "escalated", "status": "queued", "priority": {"level": 1}}
        body = json.dumps(example["value"] | new).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def later_url():
    with ThreadingHTTPServer((HOST, 0), LaterVersion) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{HOST}:{server.server_port}"
        server.shutdown()
        thread.join()


def list_tickets(service, key):
    headers = {"Authorization": f"Bearer {key.secret}"}
    url = f"{service.url}/v1/support/tickets"
    return requests.get(url, headers=headers, timeout=30).json()["tickets"]


@pytest.mark.parametrize(
    "client",
    [
        "generator_python",
        "generator_go",
        "generator_fetch",
        "python_client",
        "openapi_typescript",
    ],
)
def test_works(request, client, shared_service, later_url):
    command, env = request.getfixturevalue(client)
    key = APIKeyFactory()
    urls = {"BASE_URL": shared_service.url, "LATER_URL": later_url, "API_KEY": key.secret}
    answer = json.loads(run(*command, env=env | urls))
    [ticket] = list_tickets(shared_service, key)
    assert answer == {
        "receipt": [ticket["id"], "stored", int(ticket["created_at"][:4])],
        "read": [ticket["id"], "new", CONTEXT, ["req_1"]],
        "listed": [ticket["id"]],
        "error": [400, "reply_address", "Invalid email format"],
        "later": ["escalated", "queued"],
    }
