# Two commands matter: `make run` and `make test`. Everything is installed into .venv.

PYTHON ?= python3
PORT ?= 8000
INSTALL = .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes
COMPILE = .venv/bin/uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-header --quiet --no-emit-index-url $(if $(UPGRADE),--upgrade)

.PHONY: run test lint chaos bench lock clean
# Two installations into one .venv at once would damage it.
.NOTPARALLEL:

# Serve on this machine, with a demonstration account: make run PORT=8001
run: .venv/.installed
	@exec env DEBUG=true .venv/bin/python manage.py serve_demo --port $(PORT)

# Lint, types, every test on SQLite, every test on PostgreSQL.
test: .venv/.installed-dev
	@exec .venv/bin/python -m ctxfy_support.tests.run

lint: .venv/.installed-dev
	@exec .venv/bin/python -m ctxfy_support.tests.run lint

# The bars that take minutes: kill -9, stopped senders, strange mails; hostile bodies, restarts.
chaos: .venv/.installed-dev
	.venv/bin/python -m support.tests.chaos
	.venv/bin/python -m ctxfy_support.tests.chaos

# What requests and pages cost, as ratios within one run.
bench: .venv/.installed-dev
	.venv/bin/python -m ctxfy_support.tests.bench
	.venv/bin/python -m support.tests.back_office.bench

# Write the locked files; make lock UPGRADE=1 takes the newest versions.
lock: .venv/.installed-dev
	$(COMPILE) requirements.in --output-file requirements.txt
	$(COMPILE) requirements-dev.in --output-file requirements-dev.txt

clean:
	rm -rf .venv staticfiles .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: each is as old as what it stands for.

.venv/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.installed: requirements.txt .venv/.created
	$(INSTALL) -r requirements.txt
	@touch $@

.venv/.installed-dev: requirements-dev.txt .venv/.created
	$(INSTALL) -r requirements-dev.txt
	@touch $@
