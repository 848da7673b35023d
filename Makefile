# Every target does its own set-up: a virtual environment with the pinned requirements, one Django, and this project.
# Nothing is installed outside of it. mysqlclient is compiled, and the servers for the tests are found, or unpacked into
# the user's cache; a machine that lacks something for that is told so, and tests the other engines.
#
#   PYTHON   the interpreter (default: the newest that runs)
#   DJANGO   5.2, 6.0 or 6.1 (default: the newest that the interpreter supports)
#   ARGS     arguments for pytest, and --engine NAME; for test-django, --compare and labels of tests
#   DB       the database of the demo: sqlite, postgresql, mariadb or mysql
#
# With PYTHON or DJANGO given, the environment is .venv-<python>-<django>, so that several live side by side.

DB      ?= sqlite
python  := $(shell sh tools/python $(PYTHON))
version := $(if $(python),$(shell "$(python)" -c 'import sys; print("%d.%d" % sys.version_info[:2])'))
django  := $(or $(DJANGO),$(if $(filter 3.11,$(version)),5.2,6.1))
venv    := .venv$(if $(PYTHON)$(DJANGO),-$(version)-$(django))
ready   := $(venv)/.ready

.PHONY: help demo test test-django test-cluster lint types format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

demo: $(ready) ## run the record shop, asynchronously and synchronously, and compare (DB=postgresql, mariadb or mysql)
	@$(venv)/bin/python -m tests.demo --db $(DB) $(ARGS)

test: $(ready) ## run the tests on every engine (ARGS="-x -k bridge", PYTHON=python3.11 DJANGO=5.2)
	@$(venv)/bin/python -m tests $(ARGS)

test-django: $(ready) ## run Django's own tests on vinyl (ARGS="queries", ARGS=--compare)
	@$(venv)/bin/python -m tests.django_suite $(ARGS)

test-cluster: $(ready) ## write to a Galera cluster of three MariaDB servers while nodes are lost
	@$(venv)/bin/python -m tests.cluster $(ARGS)

lint: $(ready) ## check style, format and the direction of imports
	@$(venv)/bin/ruff check
	@$(venv)/bin/ruff format --check
	@$(venv)/bin/lint-imports

types: $(ready) ## check the types
	@$(venv)/bin/mypy

format: $(ready) ## let ruff rewrite what it can
	@$(venv)/bin/ruff check --fix
	@$(venv)/bin/ruff format

clean: ## remove the environments and what the tools left behind
	@rm -rf .venv .venv-* .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .django-tests build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment is made anew for another interpreter; otherwise pip only installs what changed.
# Without mysqlclient, which says what it lacks, all but MariaDB and MySQL can be tested.
$(ready): Makefile pyproject.toml requirements/dev.txt requirements/mysqlclient.txt
	@test -n "$(python)"
	@echo "Setting up $(venv) with Python $(version) and Django $(django); this takes a minute, and only once."
	@rm -f $@
	@test "$$($(venv)/bin/python -V 2>&1)" = "$$("$(python)" -V)" || "$(python)" -m venv --clear $(venv)
	@$(venv)/bin/python -m pip install -qq --disable-pip-version-check \
		-r requirements/dev.txt "Django==$(django).*" --editable .
	@$(venv)/bin/python -m tests.mysqlclient || true
	@touch $@
