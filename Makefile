# Every target does its own set-up: a virtual environment with the pinned requirements, one Django, and this project.
# Nothing is installed outside of it. mysqlclient is compiled, and the servers for the tests are found, or unpacked into
# the user's cache; a machine that lacks something for that is told so, and tests the other engines.
#
#   PYTHON   the interpreter (default: the newest that runs)
#   DJANGO   5.2, 6.0 or 6.1 (default: the newest that the interpreter supports)
#   ARGS     arguments for pytest, and --engine NAME; for test-pgbouncer, --mode NAME; for test-django, --compare, --plans,
#            --site, --pgbouncer NAME and labels of tests; for test-stress, --seconds and --seed; for bench, see benchmarks/README.md
#   DB       the database of the demo: sqlite, postgresql, mariadb or mysql
#   TARGET   what test-all makes for each Python and Django: test, or package
#
# With PYTHON or DJANGO given, the environment is .venv-<python>-<django>, so that several live side by side.

DB      ?= sqlite
TARGET  ?= test
# Each Python with each Django that has it.
CORNERS := 3.11/5.2 3.12/5.2 3.12/6.0 3.12/6.1 3.13/5.2 3.13/6.0 3.13/6.1
python  := $(shell sh tools/python $(PYTHON))
version := $(if $(python),$(shell "$(python)" -c 'import sys; print("%d.%d" % sys.version_info[:2])'))
django  := $(or $(DJANGO),$(if $(filter 3.11,$(version)),5.2,6.1))
venv    := .venv$(if $(PYTHON)$(DJANGO),-$(version)-$(django))
ready   := $(venv)/.ready
# The peers have an environment of their own, since they bring much along.
peers   := .venv-benchmarks$(if $(PYTHON)$(DJANGO),-$(version)-$(django))
# So has Sphinx.
pages   := .venv-docs$(if $(PYTHON)$(DJANGO),-$(version)-$(django))
# And so have the packages around Django.
around  := .venv-packages$(if $(PYTHON)$(DJANGO),-$(version)-$(django))

# And the applications.
applications := .venv-applications$(if $(PYTHON)$(DJANGO),-$(version)-$(django))

.PHONY: help demo test test-all test-pgbouncer test-django test-browser test-applications test-cluster test-stress \
	test-packages bench instructions memory lint types stubs format docs package changes clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' Makefile

demo: $(ready) ## run the record shop, asynchronously and synchronously, and compare (DB=postgresql, mariadb or mysql)
	@$(venv)/bin/python -m tests.demo --db $(DB) $(ARGS)

test: $(ready) ## run the tests on every engine (ARGS="-x -k bridge", PYTHON=python3.11 DJANGO=5.2)
	@$(venv)/bin/python -m tests $(ARGS)

test-all: ## the same, for each Python with each Django (TARGET=package, ARGS="--engine sqlite")
	@sh tools/test-all $(TARGET) $(CORNERS)

test-pgbouncer: $(ready) ## run the tests on PostgreSQL behind PgBouncer, in either mode (ARGS="--mode transaction")
	@$(venv)/bin/python -m tests.pgbouncer $(ARGS)

test-django: $(ready) ## run Django's own tests on vinyl (ARGS="queries", --compare, --plans, --site)
	@$(venv)/bin/python -m tests.django_suite $(ARGS)

test-browser: $(ready) ## use the admin, served natively, in Chromium
	@$(venv)/bin/python -m tests tests/browser $(ARGS)

test-applications: $(applications)/.ready ## serve Wagtail natively, and write a page in it
	@$(applications)/bin/python -m tests.applications $(ARGS)

test-cluster: $(ready) ## write to a Galera cluster of three MariaDB servers while nodes are lost
	@$(venv)/bin/python -m tests.cluster $(ARGS)

test-stress: $(ready) ## transfer money under load while servers and tasks are killed (ARGS="--engine sqlite --seconds 8")
	@$(venv)/bin/python -m tests.stress $(ARGS)

test-packages: $(around)/.ready ## run the tests with packages around Django: REST framework, Channels, Celery, PostGIS …
	@$(around)/bin/python -m tests.packages $(ARGS)

bench: $(peers)/.ready ## measure vinyl and its peers (ARGS="--engine mariadb --rounds 1 --workloads get")
	@$(peers)/bin/python -m benchmarks $(ARGS)

instructions: $(ready) ## count the instructions of hot paths, and compare with a baseline (ARGS=--update accepts)
	@$(venv)/bin/python -m benchmarks.instructions $(ARGS)

memory: $(ready) ## measure what imports, connections and waiting tasks take, against bounds
	@$(venv)/bin/python -m benchmarks.memory $(ARGS)

lint: $(ready) ## check style, format and the direction of imports
	@$(venv)/bin/ruff check
	@$(venv)/bin/ruff format --check
	@$(venv)/bin/lint-imports

types: $(ready) ## check the types
	@$(venv)/bin/mypy

stubs: $(ready) ## make the declarations of the sync mode from those of the async mode
	@$(venv)/bin/python -m tools.synchronous_stubs

format: $(ready) ## let ruff rewrite what it can
	@$(venv)/bin/ruff check --fix
	@$(venv)/bin/ruff format

docs: $(pages)/.ready ## build the documentation into docs/_build/html, warnings being errors
	@$(pages)/bin/python -m sphinx -W --keep-going -q -j auto $(ARGS) docs docs/_build/html
	@echo "The documentation is docs/_build/html/index.html."

package: $(ready) ## build the wheel and the source distribution into dist, check them, and install each extra
	@$(venv)/bin/python -m tests.package

changes: $(ready) ## move the lines of changes/ to CHANGELOG.md, for a release (VERSION=0.2.0, ARGS=--draft)
	@$(venv)/bin/towncrier build --yes --version $(VERSION) $(ARGS)

clean: ## remove the environments and what the tools left behind
	@rm -rf .venv .venv-* .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .django-tests build dist docs/_build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# How each environment begins; $(@D) is its folder. It is made anew for another interpreter; otherwise pip only installs
# what changed. The file .ready comes last, so that what was interrupted is done again.
define environment
@test -n "$(python)"
@echo "Setting up $(@D) with Python $(version) and Django $(django); this takes a minute, and only once."
@rm -f $@
@test "$$($(@D)/bin/python -V 2>&1)" = "$$("$(python)" -V)" || "$(python)" -m venv --clear $(@D)
endef
install = $(@D)/bin/python -m pip install -qq --disable-pip-version-check
project = "Django==$(django).*" --editable .

# Without mysqlclient, which says what it lacks, all but MariaDB and MySQL can be tested. Pyright gets its program when it
# is first called.
$(ready): Makefile pyproject.toml requirements/dev.txt requirements/mysqlclient.txt
	$(environment)
	@$(install) -r requirements/dev.txt $(project)
	@$(@D)/bin/python -m tests.mysqlclient || true
	@PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(@D)/bin/pyright --version >/dev/null || true
	@touch $@

# A peer that cannot be installed on this Python is named, and the others are measured.
$(peers)/.ready: Makefile pyproject.toml requirements/benchmarks.txt requirements/mysqlclient.txt
	$(environment)
	@$(install) $(project)
	@$(@D)/bin/python -m benchmarks.install
	@$(@D)/bin/python -m tests.mysqlclient || true
	@touch $@

# Without dependencies, which are all pinned: a package may say that it is for older Djangos only.
$(around)/.ready: Makefile pyproject.toml requirements/packages.txt
	$(environment)
	@$(install) $(project)
	@$(install) --no-deps -r requirements/packages.txt
	@touch $@

$(pages)/.ready: Makefile pyproject.toml requirements/docs.txt
	$(environment)
	@$(install) -r requirements/docs.txt $(project)
	@touch $@

$(applications)/.ready: Makefile pyproject.toml requirements/applications.txt
	$(environment)
	@$(install) -r requirements/applications.txt $(project)
	@touch $@
