# Objects under build/<flavour>/; quiet unless V=1.
## make demo          the city in a box, with its page on a port of this host
## make check         everything a change must pass
## make               build/xunjian-agent, build/xunjian-collector
## make install       below PREFIX (/usr/local), DESTDIR respected
## make unit          unit tests            make check-asan  the same under sanitizers
## make browser       the page in Chromium
## make system        system tests at length (root)
## make sim           incidents in virtual time, at length
## make fuzz          each fuzz target for FUZZ_SECONDS (60)
## make bench         beside our peers, 15 minutes (root); make bench-icmp, bench-tcp ... for one work
## make deps          what the build needs   make clean

FLAVOUR ?= release
B := build/$(FLAVOUR)
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-6s %s\n' $(1) $(2))

CC ?= gcc
PREFIX ?= /usr/local
PACKAGES := libevent libevent_openssl openssl libcurl libcares libconfig libprotobuf-c libzstd jansson sqlite3 zlib libseccomp
CFLAGS_WARN := -Wall -Wextra -Wformat=2 -Wconversion -Wimplicit-fallthrough -Wshadow -Wvla -Walloca \
	-Wstrict-prototypes -Wmissing-prototypes -Wduplicated-cond -Wlogical-op -Wcast-align=strict -Wswitch-enum \
	-Wjump-misses-init -Wstringop-overflow=4 -Warray-bounds=2 -Wbidi-chars=any -Werror=format-security \
	-Werror=implicit -Werror=incompatible-pointer-types -Werror=int-conversion $(if $(CI),-Werror)
CFLAGS_HARD := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection \
	-fcf-protection=full -ftrivial-auto-var-init=zero -fno-delete-null-pointer-checks -fno-strict-overflow \
	-fno-strict-aliasing -fPIE -fvisibility=hidden -ffile-prefix-map=$(CURDIR)=.
LDFLAGS_HARD := -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,separate-code -Wl,--as-needed
CFLAGS_release := -O2 -g $(CFLAGS_HARD)
LDFLAGS_release := $(LDFLAGS_HARD)
CFLAGS_asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS_asan := -fsanitize=address,undefined
CFLAGS_tsan := -O1 -g -fsanitize=thread
LDFLAGS_tsan := -fsanitize=thread
CFLAGS_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined
LDFLAGS_fuzz := -fsanitize=fuzzer,address,undefined
ifeq ($(FLAVOUR),fuzz)
CC := clang-14
CFLAGS_WARN := -Wall -Wextra
endif
# Expanded only when a compiler runs, so that `make deps` works on a bare machine.
# libxml2 is loaded by the probe type that needs it (probes/html.c), not linked.
PKG_CFLAGS = $(shell pkg-config --cflags $(PACKAGES) libxml-2.0)
PKG_LIBS = $(shell pkg-config --libs $(PACKAGES)) -ldl -lpthread
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -I. -I$(B) $(CFLAGS_WARN) $(CFLAGS_$(FLAVOUR)) $(PKG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = $(LDFLAGS_$(FLAVOUR)) $(LDFLAGS)

LIB := $(wildcard lib/*.c)
PROBES := $(wildcard probes/*.c probes/*/*.c)
AGENT := $(filter-out agent/main.c,$(wildcard agent/*.c))
COLLECTOR := $(filter-out collector/main.c,$(wildcard collector/*.c collector/*/*.c))
UNIT := $(wildcard tests/unit/*/test_*.c)
FUZZ := $(wildcard tests/fuzz/fuzz_*.c)
TOOLS := $(wildcard tests/tools/*.c)
SIM := $(wildcard tests/sim/sim_*.c)
SUPPORT := $(wildcard tests/support/*.c)
obj = $(patsubst %.c,$(B)/%.o,$(1))

.DEFAULT_GOAL := all
.SECONDARY:
.PHONY: all deps check browser sim sim-quick unit check-asan floors python-names system system-quick fuzz fuzz-run demo install clean help bench bench-run deps-bench

all: build/xunjian-agent build/xunjian-collector

build/xunjian-%: $(B)/xunjian-%
	$(Q)ln -sf $(FLAVOUR)/xunjian-$* $@

$(B)/wire.pb-c.c: lib/wire.proto
	$(call say,PROTO,$<)
	$(Q)mkdir -p $(B) && protoc-c --proto_path=lib --c_out=$(B) lib/wire.proto
$(B)/wire.pb-c.h: $(B)/wire.pb-c.c ;
$(B)/wire.pb-c.o: $(B)/wire.pb-c.c
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-conversion -c -o $@ $<
$(B)/lib/wire.o $(B)/lib/wire_rows.o $(B)/lib/wire_packer.o $(B)/lib/wire_request.o $(B)/tests/unit/lib/test_wire.o \
	$(B)/tests/tools/journal_dump.o: $(B)/wire.pb-c.h

# The page: bundled by node into files and a table of them, when its sources have changed.
UI := collector/web/ui
build/ui/assets_table.c: $(UI)/node_modules/.ready $(filter-out $(UI)/node_modules,$(wildcard $(UI)/* $(UI)/src/*))
	$(call say,UI,$(UI))
	$(Q)cd $(UI) && node_modules/.bin/tsc --noEmit && node build.mjs
$(UI)/node_modules/.ready: $(UI)/package-lock.json
	$(call say,NPM,$<)
	$(Q)cd $(UI) && npm ci --ignore-scripts --silent && touch node_modules/.ready
$(B)/assets_table.o: build/ui/assets_table.c
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -c -o $@ $<

$(B)/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

LIB_OBJ = $(call obj,$(LIB)) $(B)/wire.pb-c.o
PROBES_OBJ = $(call obj,$(PROBES))

$(B)/xunjian-agent: $(LIB_OBJ) $(PROBES_OBJ) $(call obj,$(AGENT) agent/main.c)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) -lm

# Of probes/ the collector links the pure parts only, and what notices go out by: no probe.
COLLECTOR_PROBES := $(wildcard probes/catalog*.c probes/pattern*.c) probes/dns_name.c probes/match.c probes/json_path.c \
	probes/http_steps.c probes/http_template.c \
	probes/datagram.c probes/dial.c probes/snmp_library.c probes/snmp_packet.c probes/snmp_table.c probes/snmp_talk.c \
	probes/snmp_user.c
$(B)/xunjian-collector: $(LIB_OBJ) $(call obj,$(COLLECTOR_PROBES) $(COLLECTOR) collector/main.c) $(B)/assets_table.o
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) $(RRD_LIBS) -lm

# Tests link archives, so that each takes what it uses: its own floor and those below.
archives := lib probes agent collector support
archive = $(patsubst %,$(B)/%.a,$(1))
$(B)/lib.a: $(LIB_OBJ)
$(B)/probes.a: $(PROBES_OBJ)
$(B)/agent.a: $(call obj,$(AGENT))
$(B)/collector.a: $(call obj,$(COLLECTOR)) $(B)/assets_table.o
$(B)/support.a: $(call obj,$(SUPPORT))
$(call archive,$(archives)):
	$(Q)rm -f $@ && $(AR) rcs $@ $^
link = $(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(PKG_LIBS) $(1) -lm
RRD_LIBS = $$(pkg-config --libs librrd)

$(B)/tests/unit/lib/%: $(B)/tests/unit/lib/%.o $(call archive,support lib)
	$(call link,-lcmocka)
$(B)/tests/unit/probes/%: $(B)/tests/unit/probes/%.o $(call archive,support probes lib)
	$(call link,-lcmocka)
$(B)/tests/unit/agent/%: $(B)/tests/unit/agent/%.o $(call archive,support agent probes lib)
	$(call link,-lcmocka)
$(B)/tests/unit/collector/%: $(B)/tests/unit/collector/%.o $(call archive,support collector probes lib)
	$(call link,$(RRD_LIBS) -lcmocka)
# Fuzz targets and tools of the tests: everything may be linked.
$(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(call archive,$(archives))
	$(call link,$(RRD_LIBS))
$(B)/tests/tools/%: $(B)/tests/tools/%.o $(call archive,$(archives))
	$(call link,$(RRD_LIBS))

# Simulations in virtual time: the pure cores of the collector alone.
$(B)/tests/sim/%: $(B)/tests/sim/%.o $(call archive,support collector probes lib)
	$(call link,$(RRD_LIBS))

UNIT_BIN := $(patsubst %.c,$(B)/%,$(UNIT))
unit: $(UNIT_BIN)
	$(Q)tests/run-unit $(UNIT_BIN)

floors:
	$(Q)awk -f tests/floors.awk $$(git ls-files -c -o --exclude-standard '*.c' '*.h')

# Names that nothing defines, also where only the long runs come.
python-names:
	$(Q)pyflakes3 $$(git ls-files -c -o --exclude-standard '*.py')

check-asan:
	$(Q)$(MAKE) --no-print-directory FLAVOUR=asan unit

# In check: what they do without arguments, some seconds; `make sim` runs them at length.
SIM_ARGS ?= --jobs 2 --small 1000000 --large 1000 --days 30 --edges 2000
sim: $(patsubst %.c,$(B)/%,$(SIM))
	$(Q)for t in $^; do $$t $(SIM_ARGS) || exit 1; done
sim-quick: $(patsubst %.c,$(B)/%,$(SIM))
	$(Q)for t in $^; do $$t || exit 1; done

deps:
	$(Q)tests/deps build

# What is built uses all processors, what then runs says itself how much of it runs at a time.
all-jobs = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
TEST_PROGRAMS := $(UNIT_BIN) $(patsubst %.c,$(B)/%,$(TOOLS) $(SIM))
check: deps
	$(Q)tests/deps test
	$(Q)$(MAKE) --no-print-directory $(all-jobs) floors python-names all $(TEST_PROGRAMS)
	$(Q)$(MAKE) --no-print-directory -j1 unit sim-quick system-quick browser

SYSTEM := $(sort $(wildcard tests/system/test_*.py))
# In check: a slice of each system test; `make system` runs them at length.
system-quick: all $(patsubst %.c,$(B)/%,$(TOOLS))
	$(Q)tests/run-system $(SYSTEM)

browser: $(B)/tests/tools/serve_page
	$(Q)for t in tests/browser/*.test.mjs; do node $$t; rc=$$?; [ $$rc -eq 0 ] || [ $$rc -eq 77 ] || exit 1; done

system: all $(patsubst %.c,$(B)/%,$(TOOLS))
	$(Q)FULL=1 SYSTEM_TIMEOUT=3600 tests/run-system $(SYSTEM)

# Each target for FUZZ_SECONDS from its seeds; a crash leaves its input in build/fuzz/.
FUZZ_SECONDS ?= 60
fuzz:
	$(Q)$(MAKE) --no-print-directory FLAVOUR=fuzz fuzz-run
fuzz-run: $(patsubst %.c,$(B)/%,$(FUZZ))
	$(Q)tests/run-fuzz $(FUZZ_SECONDS) $^

# Figures beside peers; never part of check. JSON beside the table in build/bench/.
deps-bench: deps
	$(Q)tests/deps bench
bench: deps-bench
	$(Q)$(MAKE) --no-print-directory bench-run
bench-run: all $(patsubst %.c,$(B)/%,$(TOOLS))
	$(Q)python3 tests/bench/bench.py --json build/bench/$(or $(WORK),all).json $(WORK)
bench-%:
	$(Q)$(MAKE) --no-print-directory bench WORK=$*

demo: deps
	$(Q)tests/deps test
	$(Q)$(MAKE) --no-print-directory $(all-jobs) all
	$(Q)python3 tests/city/demo.py

install: all
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin $(B)/xunjian-agent $(B)/xunjian-collector
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 agent/*.8 collector/*.8
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man5 agent/*.5 collector/*.5
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/xunjian/conf $(wildcard conf/*.conf) conf/XUNJIAN-MIB.txt
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/xunjian/conf/calendar $(wildcard conf/calendar/*.conf)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/xunjian/conf/inventory.d $(wildcard conf/inventory.d/*.conf)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/systemd/system $(wildcard conf/systemd/*.service)
	sed -i 's,=/usr/local/bin/,=$(PREFIX)/bin/,' $(patsubst conf/systemd/%,$(DESTDIR)$(PREFIX)/lib/systemd/system/%,$(wildcard conf/systemd/*.service))
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/xunjian/conf/xunjian-agent.service.d conf/systemd/xunjian-agent.service.d/*

clean:
	$(Q)rm -rf build

help:
	@sed -n 's/^## //p' Makefile

-include $(shell find build -path build/mutants -prune -o -name '*.d' -type f -print 2>/dev/null)
