# muster: plain make, one build folder for each flavour, wildcards pick up new files.
#
#   make                    build/muster, optimised
#   make debug              build-debug/muster
#   make CC=clang           with clang (the folder is build-clang unless B= says otherwise)
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

PKGS    := libcurl libcrypto jansson libzstd yaml-0.1 expat libarchive
WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	   -Wwrite-strings -Wvla -Wformat=2 -Wcast-qual -Wpointer-arith -Werror
OPT_release  := -O2 -D_FORTIFY_SOURCE=2
OPT_debug    := -O0
OPT_asan     := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_tsan     := -O1 -fsanitize=thread
OPT_valgrind := -O1
OPT_cover    := -O0 --coverage
OPT     := $(OPT_$(FLAVOUR))
CPPFLAGS += -D_GNU_SOURCE -Ilib -I. -DMUSTER_VERSION='"$(VERSION)"' -include base/banned.h \
	    $(shell pkg-config --cflags $(PKGS))
CFLAGS  += -std=c17 -g $(OPT) $(WARN) -fstack-protector-strong -fPIE -pthread
LDFLAGS += $(OPT) -pie -pthread -Wl,-z,relro,-z,now
LDLIBS  += $(shell pkg-config --libs $(PKGS)) -lsnappy -lm

LIB_SRC  := $(wildcard lib/*/*.c)
JOB_SRC  := $(wildcard jobs/*.c)
LIB_OBJ  := $(patsubst %.c,$(B)/%.o,$(filter-out lib/run/main.c,$(LIB_SRC)) $(JOB_SRC))
MAIN_OBJ := $(B)/lib/run/main.o
TEST_SRC := $(wildcard tests/*/*_test.c)
TEST_BIN := $(patsubst tests/%.c,$(B)/tests/%,$(TEST_SRC))
SUP_OBJ  := $(patsubst %.c,$(B)/%.o,$(wildcard tests/support/*.c))

Q := $(if $(filter 0,$(V)),@)
say = $(if $(filter 0,$(V)),@printf '  %-5s %s\n' $(1) $(2))

.PHONY: all debug test unit asan tsan valgrind lint cover bench check install clean help
.SECONDARY:

all: $(B)/muster

debug:
	$(Q)$(MAKE) FLAVOUR=debug all

$(B)/muster: $(MAIN_OBJ) $(B)/libmuster.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(MAIN_OBJ) $(B)/libmuster.a $(LDLIBS)

$(B)/libmuster.a: $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(LIB_OBJ)

$(B)/%.o: %.c Makefile
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/tests/%: $(B)/tests/%.o $(SUP_OBJ) $(B)/libmuster.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(SUP_OBJ) $(B)/libmuster.a -lcmocka $(LDLIBS)

-include $(patsubst %.o,%.d,$(LIB_OBJ) $(MAIN_OBJ) $(SUP_OBJ)) $(TEST_BIN:%=%.d)
