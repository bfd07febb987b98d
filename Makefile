# The commands of the project. `make` alone explains them.
#
#   STACK=compose|native  containers or local processes; by default containers if a container engine answers
#   NAME=main             which stack: each name has its own folder (.stack/NAME), ports and data
#   COMPONENT=order       logs, restart: which component
#   FOLLOW=1              logs: show what is added, until Ctrl-C
#   QUICK=1, ONLY=idle    bench: short runs; some of its parts
#   SEED=1                simulate, chaos: which random choices
#   BUGS=web              mutants: only those of an area, or with a word in their name; BUGS=--quick starts no stack
#   ORDER_PORT, CUSTOMER_PORT, HISTORY_PORT   the services' ports (8081, 8082, 8083)

NAME ?= main
COMPONENT ?=
FOLLOW ?=
MINUTES ?= 15
RATE ?= 100
SEED ?=
RUNS ?= 1000
QUICK ?=
ONLY ?=
BUGS ?=
PYTHON := .venv/bin/python
MIGRATIONS := $(wildcard storage/migrations/*.sql services/*/migrations/*.sql tests/upgrade/migrations/*.sql)
INFRA := sh infra/python.sh -m infra --name $(NAME)

WITHOUT_STACK := tests/architecture tests/contract tests/simulation tests/unit

.DEFAULT_GOAL := help
.PHONY: help up down status logs restart migrate resnapshot reset dev test test-without-stack test-with-stack lint \
        format lock clean chaos simulate mutants random-mutants bench

help:  ## this text
	@sed -n '1,/^$$/s/^# \{0,1\}//p' $(firstword $(MAKEFILE_LIST))
	@sed -n 's/^\([a-z-]*\): .*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

up:  ## install what is missing, start the stack and wait until it is ready
	@$(INFRA) up

down:  ## stop the stack; its data are kept
	@$(INFRA) down

status:  ## one line a component: state, process, port, memory
	@$(INFRA) status

logs:  ## the end of all logs or of COMPONENT's; FOLLOW=1 shows new lines
	@$(INFRA) logs $(COMPONENT) $(if $(FOLLOW),--follow)

restart:  ## restart COMPONENT, after its code was changed
	@$(INFRA) restart $(COMPONENT)

migrate:  ## apply the missing migrations; `make up` and the keeper do it too
	@$(INFRA) migrate

resnapshot:  ## have Debezium send the outboxes again from a snapshot, after Kafka and JetStream lost their data
	@$(INFRA) resnapshot

reset:  ## stop the stack and delete its data
	@$(INFRA) reset

dev:  ## install what tests and checks need
	@sh infra/python.sh -m infra.bootstrap dev

test: lint  ## run all checks and all tests, with a stack of their own
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-without-stack test-with-stack

# Two halves at the same time: one uses the processor, the other mostly waits for the engines.
test-without-stack:
	@$(PYTHON) -m pytest -p no:cacheprovider $(WITHOUT_STACK)

test-with-stack:
	@$(PYTHON) -m pytest $(WITHOUT_STACK:%=--ignore=%)

chaos: dev  ## kill, pause and restart components under load: MINUTES=15, RATE=100 orders/s; writes build/chaos.*
	@$(PYTHON) -m tests.chaos --minutes $(MINUTES) --rate $(RATE) $(if $(SEED),--seed $(SEED))

simulate: dev  ## simulate random schedules and crashes on a virtual clock: RUNS=1000, from SEED on
	@$(PYTHON) -m tests.simulation --seed $(or $(SEED),1) --runs $(RUNS)

bench: dev  ## measure latency, throughput and cost: 30 minutes, QUICK=1 two; ONLY=latency,idle; writes build/bench*
	@$(PYTHON) -m bench $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

mutants: dev  ## plant bugs one at a time and show which test finds each; BUGS=web, BUGS=--quick
	@$(PYTHON) -m tests.mutants $(BUGS)

random-mutants: dev  ## plant random bugs in the core of the services, and show those that no unit test finds
	@$(PYTHON) -m tests.mutants.random_bugs

lint: dev  ## check style, types, the direction of imports, and the locks that migrations take
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@.venv/bin/squawk $(MIGRATIONS)

format: dev  ## format the code
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

lock: dev  ## write the lock files requirements/*.txt and infra/kafka/jars.sha256 from *.in and pom.xml
	@sh infra/lock.sh

clean:  ## delete the virtual environment and the jars; stacks and their data are kept
	rm -rf .venv .stack/jars
