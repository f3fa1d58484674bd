# Two commands matter: `make run` and `make test`. Everything is installed into .venv, or for an
# interpreter that is named, `make test PYTHON=python3.13`, into a folder of its own: .venv-3.13.

PYTHON ?= python3
PORT ?= 8000
VERSION = import sys; print("-%d.%d" % sys.version_info[:2])
VENV := .venv$(if $(filter-out python3,$(PYTHON)),$(or \
	$(shell $(PYTHON) -c '$(VERSION)'),$(error $(PYTHON) cannot be run)))
INSTALL = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes
COMPILE = $(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-header --quiet --no-emit-index-url $(if $(UPGRADE),--upgrade)

.PHONY: run test test-all lint sbom audit chaos bench mutants lock clean
# Every process would compile all modules anew, and a run of the tests starts hundreds.
unexport PYTHONDONTWRITEBYTECODE
# Two installations into one folder at once would damage it.
.NOTPARALLEL:

# Serve on this machine, with a demonstration account: make run PORT=8001
run: $(VENV)/.installed
	@exec env DEBUG=true $(VENV)/bin/python manage.py serve_demo --port $(PORT)

# Lint, types, every test on SQLite, every test on PostgreSQL.
test: $(VENV)/.installed-dev
	@exec $(VENV)/bin/python -m ctxfy_support.tests.run

# The same, then a part of it with every other Python from 3.11 on that is found.
test-all: test
	@exec $(VENV)/bin/python -m ctxfy_support.tests.other_pythons

lint: $(VENV)/.installed-dev
	@exec $(VENV)/bin/python -m ctxfy_support.tests.run lint

# The bars that take minutes: kill -9, stopped senders, strange mails; hostile bodies, restarts.
chaos: $(VENV)/.installed-dev
	$(VENV)/bin/python -m support.tests.chaos
	$(VENV)/bin/python -m support.tests.inbox.imap.chaos
	$(VENV)/bin/python -m support.tests.inbox.generated
	$(VENV)/bin/python -m support.tests.inbox.generated --place SQLite
	$(VENV)/bin/python -m ctxfy_support.tests.chaos

# What requests, pages and mails cost, as ratios within one run.
bench: $(VENV)/.installed-dev
	$(VENV)/bin/python -m ctxfy_support.tests.bench
	$(VENV)/bin/python -m support.tests.back_office.bench
	$(VENV)/bin/python -m support.tests.delivery.bench

# Whether the tests notice when the code is changed; make mutants SHARE=10 takes a tenth.
mutants: $(VENV)/.installed-dev
	$(VENV)/bin/python -m ctxfy_support.tests.mutants --share $(or $(SHARE),100)

# Write the locked files; make lock UPGRADE=1 takes the newest versions.
lock: $(VENV)/.installed-dev
	$(COMPILE) requirements.in --output-file requirements.txt
	$(COMPILE) requirements-dev.in --output-file requirements-dev.txt

# What the service is made of, as CycloneDX JSON.
sbom: $(VENV)/.installed-dev
	$(VENV)/bin/python -m ctxfy_support.tests.sbom sbom.cdx.json

# Whether a locked package has a known hole; asks PyPI, so it is no part of the tests.
audit: $(VENV)/.installed-dev
	$(VENV)/bin/uv tool run pip-audit --disable-pip --require-hashes --requirement requirements.txt

clean:
	rm -rf .venv .venv-* staticfiles .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: each is as old as what it stands for.

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: requirements.txt $(VENV)/.created
	$(INSTALL) -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.created
	$(INSTALL) -r requirements-dev.txt
	@touch $@
