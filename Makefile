# muster: plain make, one build folder for each flavour, wildcards pick up new files.
#
#   make                    build/muster, optimised
#   make debug              build-debug/muster
#   make CC=clang           with clang (the folder is build-clang unless B= says otherwise)
#   make arm64              build-arm64/muster, by the cross compiler
#   make check              what CI runs: lint, all tests, all sanitizers
#   make help               every target

V       ?= 0
CC      ?= cc
FLAVOUR ?= release
CCNAME  := $(if $(findstring clang,$(CC)),clang,gcc)
B       ?= build$(if $(filter clang,$(CCNAME)),-clang)$(if $(filter-out release,$(FLAVOUR)),-$(FLAVOUR))

PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0

# For another machine than this: CC=aarch64-linux-gnu-gcc, and in SYSROOT its libraries (scripts/sysroot lays them there).
SYSROOT ?=
TRIPLET := $(patsubst %-gcc,%,$(filter %-linux-gnu-gcc,$(CC)))
PKG_CONFIG ?= pkg-config
ifneq ($(TRIPLET),)
AR      := $(TRIPLET)-ar
endif
ifneq ($(SYSROOT),)
override SYSROOT := $(abspath $(SYSROOT))
override CC += --sysroot=$(SYSROOT)
PKG_CONFIG := PKG_CONFIG_SYSROOT_DIR=$(SYSROOT) \
	      PKG_CONFIG_LIBDIR=$(SYSROOT)/usr/lib/$(TRIPLET)/pkgconfig:$(SYSROOT)/usr/share/pkgconfig $(PKG_CONFIG)
endif

PKGS    := libcurl libcrypto jansson libzstd yaml-0.1 expat libarchive
WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	   -Wwrite-strings -Wvla -Wformat=2 -Wcast-qual -Wpointer-arith -Werror
# The same bytes in whatever folder it is built (scripts/reproducible).
OPT_release  := -O2 -D_FORTIFY_SOURCE=2 -fno-asynchronous-unwind-tables -ffile-prefix-map=$(CURDIR)=.
OPT_debug    := -O0
OPT_asan     := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_tsan     := -O1 -fsanitize=thread
OPT_valgrind := -O1
OPT_cover    := -O0 --coverage -DCONFINE_OFF
OPT_fuzz     := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# What is done once a cell or a run need not be quick but small. Debuggers unwind by the debug information.
SMALL_release := -Os
OPT     := $(OPT_$(FLAVOUR))
# What of these the compiler has for this processor; scripts/check-binary looks whether it came to something.
has      = $(shell echo 'int x;' | $(CC) -Werror $(1) -x c -c -o /dev/null - 2>/dev/null && echo $(1))
HARDEN  := $(call has,-fstack-clash-protection) $(call has,-fcf-protection) $(call has,-mbranch-protection=standard)
CPPFLAGS += -D_GNU_SOURCE -Ilib -I. -DMUSTER_VERSION='"$(VERSION)"' -include base/banned.h \
	    $(shell $(PKG_CONFIG) --cflags $(PKGS))
CFLAGS  += -std=c17 -g $(OPT) $(WARN) -fstack-protector-strong $(HARDEN) -fPIE -pthread
LDFLAGS += $(OPT) -pie -pthread -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code
LDLIBS  += $(shell $(PKG_CONFIG) --libs $(PKGS)) -lsnappy -lm

LIB_SRC  := $(sort $(wildcard lib/*/*.c))
JOB_SRC  := $(sort $(wildcard jobs/*.c))
LIB_OBJ  := $(patsubst %.c,$(B)/%.o,$(filter-out lib/run/main.c,$(LIB_SRC)) $(JOB_SRC))
MAIN_OBJ := $(B)/lib/run/main.o
TEST_SRC := $(wildcard tests/*/*_test.c)
TEST_BIN := $(patsubst tests/%.c,$(B)/tests/%,$(TEST_SRC))
SUP_OBJ  := $(patsubst %.c,$(B)/%.o,$(wildcard tests/support/*.c))
SIM_OBJ  := $(patsubst %.c,$(B)/%.o,$(wildcard tests/sim/sim_*.c))
FUZZ_BIN := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/*_fuzz.c))
SIM_BIN  := $(patsubst %.c,$(B)/%,$(filter-out tests/sim/sim_% tests/sim/powercut.c,$(wildcard tests/sim/*.c)))

Q := $(if $(filter 0,$(V)),@)
say = $(if $(filter 0,$(V)),@printf '  %-5s %s\n' $(1) $(2))

SEED ?= 1

.PHONY: all debug test unit e2e sim-tools fuzz fuzzers model sweep sweep-share mutants asan tsan sanitized valgrind memchecked clang lint cover analyze bench scale check manual install install-built package reproducible image arm64 arm64-check emulated clean help \
	lint-tidy lint-cppcheck lint-format lint-floors lint-headers lint-scripts lint-python lint-binary
.SECONDARY:

all: $(B)/muster          ## build/muster

debug:                    ## build-debug/muster
	$(Q)$(MAKE) FLAVOUR=debug all

$(B)/muster: $(MAIN_OBJ) $(B)/libmuster.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(MAIN_OBJ) $(B)/libmuster.a $(LDLIBS)

$(B)/libmuster.a: $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(LIB_OBJ)

$(B)/lib/run/%.o $(B)/lib/state/%.o $(B)/lib/store/%.o: OPT += $(SMALL_$(FLAVOUR))

$(B)/%.o: %.c Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/tests/%: $(B)/tests/%.o $(SUP_OBJ) $(B)/libmuster.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(SUP_OBJ) $(B)/libmuster.a -lcmocka $(LDLIBS)

$(SIM_BIN): $(B)/%: $(B)/%.o $(SIM_OBJ) $(SUP_OBJ) $(B)/libmuster.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(SIM_OBJ) $(SUP_OBJ) $(B)/libmuster.a -lcmocka $(LDLIBS)

$(FUZZ_BIN): $(B)/%: $(B)/%.o $(B)/libmuster.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(B)/libmuster.a $(LDLIBS)

# Their oracles read what we wrote: protobuf-c, from descriptions of the formats.
ORACLES := remote_write otlp
ORACLE_FUZZ := $(ORACLES:%=$(B)/tests/fuzz/%_fuzz)
ORACLE_TIDY := $(ORACLES:%=$(B)/lint/tests/fuzz/%_fuzz.tidy)
$(ORACLES:%=$(B)/oracle/%.pb-c.c): $(B)/oracle/%.pb-c.c: tests/fuzz/%.proto
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)protoc-c --c_out=$(@D) --proto_path=$(<D) $<
$(ORACLES:%=$(B)/oracle/%.pb-c.o): %.o: %.c
	$(Q)$(CC) $(OPT) -c -o $@ $<
$(ORACLE_FUZZ:%=%.o): $(B)/tests/fuzz/%_fuzz.o: $(B)/oracle/%.pb-c.c
$(ORACLE_TIDY): $(B)/lint/tests/fuzz/%_fuzz.tidy: $(B)/oracle/%.pb-c.c
$(ORACLE_FUZZ:%=%.o) $(ORACLE_TIDY): CPPFLAGS += -isystem $(B)/oracle
$(ORACLE_FUZZ): $(B)/tests/fuzz/%_fuzz: $(B)/oracle/%.pb-c.o
$(ORACLE_FUZZ): LDLIBS += -lprotobuf-c

# Its threads take turns as the simulator says: tests/sim/sim_threads.c. Its memory may run out: tests/sim/sim_alloc.c.
# wipe_test looks at what is freed.
comma := ,
$(B)/tests/run/no_memory_test: $(B)/tests/sim/sim_alloc.o
$(B)/tests/run/no_memory_test: LDLIBS := $(B)/tests/sim/sim_alloc.o $(LDLIBS)
$(B)/tests/aws_lib/wipe_test: LDFLAGS += $(foreach f,free realloc,-Wl$(comma)--wrap=$(f))
$(SIM_BIN) $(B)/tests/run/no_memory_test: LDFLAGS += $(foreach f,malloc calloc realloc reallocarray strdup strndup,-Wl$(comma)--wrap=$(f))
$(SIM_BIN): LDFLAGS += $(foreach f,mutex_lock mutex_unlock cond_wait cond_timedwait cond_signal cond_broadcast create join,-Wl$(comma)--wrap=pthread_$(f)) $(foreach f,random_bytes malloc_trim,-Wl$(comma)--wrap=$(f))

# To be preloaded: powercut and breakout.
$(B)/tests/%.so: tests/%.c
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=c17 -D_GNU_SOURCE -g -O1 $(WARN) -shared -fPIC -o $@ $< -ldl

-include $(patsubst %.o,%.d,$(SIM_OBJ) $(SIM_BIN:%=%.o) $(FUZZ_BIN:%=%.o) $(LIB_OBJ) $(MAIN_OBJ) $(SUP_OBJ)) $(TEST_BIN:%=%.d) $(B)/tests/e2e/signer.d

# ---- targets ----------------------------------------------------------------------------------------------------
# A test program is one process and quick; the limits are for the ones that hang.

HEADERS   := $(wildcard lib/*/*.h jobs/*.h tests/*/*.h)
C_SRC     := $(LIB_SRC) $(JOB_SRC) $(wildcard tests/*/*.c)
PY_SRC     = $(shell grep -lsE '^\#!.*python3' $(wildcard scripts/* tests/*/*)) $(shell find tests -name '*.py')
SH_SRC     = $(filter-out $(PY_SRC) scripts/debian,$(wildcard scripts/* scripts/debian/muster.p* schedules/*.sh .ci/run))
# Sanitizers want their shadow where the kernel's widest randomisation may already be.
FIXED     := $(shell setarch -R true 2>/dev/null && echo setarch -R)
MEMCHECK  := valgrind -q --leak-check=full --errors-for-leak-kinds=definite,possible --error-exitcode=9
SANITIZER := ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 \
	     UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1

unit: $(TEST_BIN)         ## the unit tests, with the compiler and flavour given
	$(Q)scripts/unit -t 300 $(TEST_BIN)

test: unit e2e            ## the tests a change is most often judged by

sim-tools: $(SIM_BIN) $(B)/tests/sim/powercut.so $(B)/tests/e2e/breakout.so $(B)/tests/e2e/signer  ## the sweep, and what kills, breaks into and judges for the tests

e2e: all sim-tools        ## whole runs against the AWS stand-in (E2E= a module or a test, MUSTER= another binary)
	$(Q)scripts/e2e $(E2E)

asan:                     ## build and unit tests under address, leak and undefined-behaviour sanitizers
	$(Q)$(MAKE) FLAVOUR=asan all sanitized

tsan:                     ## the same under the thread sanitizer
	$(Q)$(MAKE) FLAVOUR=tsan all sanitized

sanitized: $(TEST_BIN)
	$(Q)$(SANITIZER) scripts/unit -t 300 -w '$(FIXED)' $(TEST_BIN)

valgrind:                 ## unit tests under memcheck
	$(Q)$(MAKE) FLAVOUR=valgrind memchecked

memchecked: $(TEST_BIN)
	$(Q)scripts/unit -t 600 -w '$(MEMCHECK)' $(TEST_BIN)

clang:                    ## build and unit tests with the second compiler
	$(Q)$(MAKE) CC=clang all unit

model:                    ## the commit protocol as a model, every interleaving, by spin
	$(Q)scripts/model

sweep:                    ## kills and faults everywhere, at every level: scripts/sweep says which (hours)
	$(Q)scripts/sweep

SWEEPS := "pairs $(or $(SHARE),0/400)" points "seeds $(SEED) 500" "allocations 0/80" "races $(SEED) 100" "late 100" \
	  "late-points 50" "days $(SEED) 20" "traces 100" "alarms 100" "compact 40" ways "chaos $(SEED) 6" "year $(SEED) 5"
sweep-share: $(SIM_BIN)   ## so much of it as CI has time for (SHARE=I/N of the pairs, SEED=), one for each processor at a time
	$(Q)printf '%s\n' $(SWEEPS) | xargs -P "$$(nproc)" -I '{}' sh -c '$(FIXED) $(B)/tests/sim/sweep {}'

fuzz:                     ## hostile input for everything that reads, by libFuzzer (FUZZ= targets, FUZZ_SECONDS= each, 60)
	$(Q)$(MAKE) CC=clang FLAVOUR=fuzz fuzzers
	$(Q)scripts/fuzz $(FUZZ)

fuzzers: $(FUZZ_BIN)

mutants:                  ## the program broken on purpose in many ways: each has to be found (MUTANTS= names, or --share I/N)
	$(Q)scripts/mutants $(MUTANTS)

cover:                    ## line coverage of lib/ and jobs/ by all tests; what is not covered: build-cover/uncovered.txt
	$(Q)find build-cover -name '*.gcda' -delete 2>/dev/null || true
	$(Q)$(MAKE) FLAVOUR=cover all unit
	$(Q)MUSTER=build-cover/muster scripts/e2e
	$(Q)gcovr --root . --filter lib/ --filter jobs/ --txt build-cover/uncovered.txt --html-details \
	    build-cover/coverage.html --print-summary build-cover

lint: lint-tidy lint-cppcheck lint-format lint-floors lint-headers lint-scripts lint-python lint-binary  ## every static check

# Of NODES states a function the analyzer looks at (its own default: 225,000); time grows with them.
TIDY_LIMIT := $(if $(NODES),-Xclang -analyzer-config -Xclang max-nodes=$(NODES))
lint-tidy: $(C_SRC:%.c=$(B)/lint/%.tidy)
$(B)/lint/%.tidy: %.c .clang-tidy tests/.clang-tidy $(HEADERS)
	$(call say,TIDY,$<)
	$(Q)mkdir -p $(@D)
	$(Q)clang-tidy --quiet $< -- $(CPPFLAGS) -std=c17 $(WARN) $(TIDY_LIMIT) >$@.out 2>$@.err || { cat $@.out $@.err; exit 1; }
	$(Q)mv $@.out $@

# Not asked for: what cppcheck cannot see through here (CLEANUP frees at the end of a scope; an address that is passed is
# an output) and what gcc's -Wuninitialized and -Wdangling-pointer and the sanitizers see better.
lint-cppcheck:
	$(call say,CHECK,cppcheck)
	$(Q)cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	    --suppress=missingIncludeSystem --suppress=memleak --suppress=uninitvar --suppress=autoVariables \
	    -D_GNU_SOURCE -D__linux__ -Ilib -I. lib jobs

# Headers are laid out by hand: their comments are contracts, and read better wide.
lint-format:
	$(call say,CHECK,clang-format)
	$(Q)clang-format --dry-run -Werror --ferror-limit=1 $(C_SRC)

lint-floors:
	$(call say,CHECK,floors)
	$(Q)scripts/check-floors

lint-headers:
	$(call say,CHECK,headers)
	$(Q)scripts/check-headers $(CC) $(CPPFLAGS) $(CFLAGS)

lint-scripts:
	$(call say,CHECK,scripts)
	$(Q)shellcheck $(SH_SRC)

lint-python:
	$(call say,CHECK,python)
	$(Q)pyflakes3 $(PY_SRC)

lint-binary: $(B)/muster
	$(call say,CHECK,binary)
	$(Q)scripts/check-binary $< $(B)/libmuster.a

analyze:                  ## gcc's own analyzer over lib/ and jobs/ (slow, and not part of check)
	$(Q)for f in $(LIB_SRC) $(JOB_SRC); do gcc $(CPPFLAGS) $(CFLAGS) -O1 -fanalyzer -c -o /dev/null $$f || exit 1; done

bench: all $(B)/bench/pages  ## CPU, memory and growth of whole runs beside a script's and a bare pipe's (BENCH= options of tests/bench/bench.py)
	$(Q)/usr/bin/python3 tests/bench/bench.py $(BENCH)

scale: all $(B)/bench/pages  ## 1 to 1,000 tenants at realistic latencies, and which quota binds first (SCALE= options of tests/bench/scale.py)
	$(Q)/usr/bin/python3 tests/bench/scale.py $(SCALE)

PAGES_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tests/bench/*.c))
$(B)/bench/pages: $(PAGES_OBJ) $(B)/libmuster.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(PAGES_OBJ) $(B)/libmuster.a $(LDLIBS) -lssl

image: all                ## the container image as an OCI layout, below build/image (IMAGE= options of scripts/image)
	$(Q)scripts/image $(IMAGE)

ARM64    := CC=aarch64-linux-gnu-gcc B=build-arm64 SYSROOT=build-arm64/sysroot
arm64:                    ## build-arm64/muster, by the cross compiler
	$(Q)scripts/sysroot arm64 build-arm64/sysroot
	$(Q)$(MAKE) $(ARM64) all

# What a processor can do otherwise (a char without a sign, another order of memory) shows in these; slow, and not part of check.
arm64-check: arm64        ## the unit tests and whole runs of it, under qemu
	$(Q)scripts/image --arch arm64
	$(Q)$(MAKE) $(ARM64) emulated
	$(Q)MUSTER=scripts/in-image IMAGE_ARCH=arm64 MUSTER_PATIENCE=20 LIMIT=3000 scripts/e2e test_exact

emulated: $(TEST_BIN)
	$(Q)scripts/unit -t 900 -w 'qemu-aarch64-static -L $(SYSROOT)' $(TEST_BIN)

check:                    ## what CI runs: lint, all tests, both compilers, all sanitizers
	$(Q)scripts/test

manual: $(B)/manual/done  ## man pages and completion, from the program's own tables and lib/pages
$(B)/manual/done: scripts/manual .github/CHANGELOG.md $(wildcard lib/pages/*) $(B)/muster
	$(call say,MAN,$(@D))
	$(Q)rm -rf $(@D)
	$(Q)scripts/manual $(B)/muster $(@D)
	$(Q)touch $@

DOC      := $(DESTDIR)$(PREFIX)/share/doc/muster
EXAMPLES := $(wildcard schedules/*.* schedules/crontab)
install: all manual       ## the program, its manual and completion, the example schedules (DESTDIR=, PREFIX=)
	$(Q)$(MAKE) install-built

install-built:
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5 \
	    $(DESTDIR)$(PREFIX)/share/man/man7 $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DOC)/schedules/dashboards
	install -m 755 $(B)/muster $(DESTDIR)$(PREFIX)/bin/muster
	for n in 1 5 7; do install -m 644 $(B)/manual/man$$n/* $(DESTDIR)$(PREFIX)/share/man/man$$n || exit 1; done
	install -m 644 $(B)/manual/completions/muster $(DESTDIR)$(PREFIX)/share/bash-completion/completions/muster
	install -m 644 README.md LICENSE .github/CHANGELOG.md $(DOC)
	install -m 644 $(EXAMPLES) $(DOC)/schedules
	install -m 644 $(wildcard schedules/dashboards/*) $(DOC)/schedules/dashboards

package: all manual       ## a package for Debian 12, below build/package (scripts/package)
	$(Q)scripts/package $(B)

reproducible:             ## build twice, in two folders, and compare
	$(Q)scripts/reproducible

clean:                    ## every build folder
	rm -rf build build-*

help:                     ## this list
	$(Q)awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
