# SPDX-License-Identifier: ISC
#
# GNU make.  Everything is built under build/ (build/asan with sanitizers).

VERSION		:= 4.0.0
PREFIX		?= /usr
LIBEXECDIR	?= $(PREFIX)/libexec
BINDIR		?= $(PREFIX)/bin
MANDIR		?= $(PREFIX)/share/man
LOCALSTATEDIR	?= /var
SYSCONFDIR	?= /etc
DESTDIR		?=
# Where systemd's files go; nowhere if pkg-config does not know it.
systemd_dir	= $(shell pkg-config --variable=$(1) systemd 2>/dev/null)
UNITDIR		?= $(call systemd_dir,systemdsystemunitdir)
SYSUSERSDIR	?= $(call systemd_dir,sysusersdir)
TMPFILESDIR	?= $(call systemd_dir,tmpfilesdir)
# systemd complains about the old name of /run.
RUNSTATEDIR	?= $(patsubst /var/run,/run,$(LOCALSTATEDIR)/run)
PROXYDIR	:= $(LIBEXECDIR)/clear-containers
SOCKETDIR	:= $(LOCALSTATEDIR)/run/clear-containers
SOCKETDIR1	:= $(LOCALSTATEDIR)/run/cc-oci-runtime

V		?= 0
Q		:= $(if $(filter 0,$(V)),@)
BUILD		?= build
INSTALL		?= install
PYTHON		?= python3
WERROR		?= -Werror
ifeq ($(origin CC),default)
CC		:= gcc
endif
BISON		?= bison

# What make deps installs; see also .ci/run.
DEPS_BUILD	:= gcc libc6-dev libevent-dev libjansson-dev libseccomp-dev \
		   libbsd-dev bison
DEPS_SELINUX	:= selinux-policy-dev selinux-policy-default setools bzip2
DEPS_TEST	:= python3 clang clang-tidy clang-format cppcheck mandoc \
		   shellcheck strace systemd valgrind binutils util-linux \
		   procps libclang-rt-14-dev $(DEPS_SELINUX)
DEPS_VM		:= qemu-system-x86 busybox-static cpio xz-utils kmod binutils \
		   python3

option	= $(shell $(CC) -Werror $(1) -c -x c /dev/null -o /dev/null \
	    2>/dev/null && echo '$(1)')

WARN	:= -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes \
	   -Wmissing-declarations -Wshadow -Wpointer-arith -Wcast-qual \
	   -Wwrite-strings -Wsign-compare -Wformat=2 -Wundef -Wvla $(WERROR)
BASE	:= -std=gnu11 -g -D_GNU_SOURCE -DLIBBSD_OVERLAY \
	   -isystem /usr/include/bsd -Icommon -Ilib -ffunction-sections \
	   -fdata-sections -MMD -MP -DCCP_VERSION='"$(VERSION)"' \
	   -DCCP_PROXYDIR='"$(PROXYDIR)"' -DCCP_SOCKETDIR='"$(SOCKETDIR)"' \
	   -DCCP_SOCKETDIR1='"$(SOCKETDIR1)"' \
	   -DCCP_SOCKETPATH='"$(SOCKETDIR)/proxy.sock"' \
	   -DCCP_CONFFILE='"$(SYSCONFDIR)/cc-proxy.conf"'
ifdef SANITIZE
CFLAGS	?= -O1 -fno-omit-frame-pointer
HARDEN	:= -fPIE -DSBX_DEV -fsanitize=address,undefined \
	   -fno-sanitize-recover=undefined
LHARDEN	:= -pie -fsanitize=address,undefined -Wl,-z,relro,-z,now
else
CFLAGS	?= -O2
HARDEN	:= -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong \
	   -fPIE $(call option,-fstack-clash-protection) \
	   $(call option,-fcf-protection) \
	   $(call option,-ftrivial-auto-var-init=zero)
LHARDEN	:= -pie -Wl,-z,relro,-z,now,-z,noexecstack,--gc-sections,--as-needed
endif
LIBS	:= -levent_core -ljansson -lseccomp -lbsd

# One list per folder; the file with main() comes first.
parent_SRCS	:= parent.c child.c conf.c confdiff.c conflex.c flags.c \
		   guestdir.c ids.c listen.c parse.c printconf.c registrant.c \
		   reload.c setup.c starts.c timeout.c vmopen.c engines.c ksm.c \
		   logsink.c logsource.c logfmt.c namespace.c notify.c journal.c \
		   sandbox_parent.c
frontend_SRCS	:= frontend.c accept.c handshake.c fe_request.c fe_rpc.c route.c \
		   fe_policy.c fe_reload.c handover.c control.c shares.c stats.c \
		   sandbox_frontend.c
vmengine_SRCS	:= vmengine.c conn.c out.c command.c session.c agent_ctl.c \
		   agent_tty.c console.c dialect.c handover.c process.c \
		   reload.c rpc.c rpc_io.c signal.c stats.c stdin.c \
		   sandbox_vmengine.c
ctl_SRCS	:= cc-proxyctl.c ask.c http.c limits.c metrics.c reload.c run.c \
		   session.c show.c term.c top.c
guest_SRCS	:= ccp-guest.c accept.c channel.c command.c container.c cred.c ctl.c \
		   file.c job.c json.c mounts.c net.c pod.c process.c \
		   profile.c ps.c rootfs.c spawn.c tty.c vm.c
lib_SRCS	:= client.c requests.c
common_SRCS	:= audit.c clock.c frame.c hyper.c hypjson.c hyptext.c \
		   json.c jsonedit.c policy.c reqfield.c request.c \
		   rpc1.c token.c peer.c log.c msg.c msgstats.c ibuf.c \
		   msgbuf.c imsg.c imsgev.c spawn.c sandbox.c \
		   landlock.c scmp.c warmup.c

FOLDERS		:= common lib parent frontend vmengine ctl guest
LIBRARIES	:= $(BUILD)/libcommon.a $(BUILD)/libclient.a \
		   $(BUILD)/libparent.a $(BUILD)/libfrontend.a \
		   $(BUILD)/libvmengine.a
PROGRAMS	:= $(addprefix $(BUILD)/,cc-proxy ccp-frontend ccp-vmengine \
		   cc-proxyctl ccp-guest)
MAN		:= $(wildcard man/*.[1-9])

objects		= $(addprefix $(BUILD)/$(1)/,$($(1)_SRCS:.c=.o))
OBJECTS		:= $(foreach f,$(FOLDERS),$(call objects,$(f)))

.SUFFIXES:
.DELETE_ON_ERROR:
.PHONY: all check check-all check-vm asan lint demo install dist deps \
	deps-build deps-vm users root-users fuzz format clean programs tests

all: programs

programs: $(PROGRAMS)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "CC $@"
	$(Q)$(CC) $(BASE) $(WARN) $(HARDEN) $(CFLAGS) $(CPPFLAGS) -I$(<D) -c -o $@ $<

# The grammar; what bison makes of it is no source of ours.
$(BUILD)/parent/parse.c: parent/parse.y Makefile
	@mkdir -p $(@D)
	@echo "BISON $@"
	$(Q)$(BISON) -Wall -Werror -o $@ $<

$(BUILD)/parent/parse.o: $(BUILD)/parent/parse.c
	@echo "CC $@"
	$(Q)$(CC) $(BASE) $(WARN) $(HARDEN) $(CFLAGS) $(CPPFLAGS) -Iparent \
	    -c -o $@ $<

# $(1) program, $(2) folder, $(3) libraries of ours it links
define program
$(BUILD)/$(1): $(call objects,$(2)) $(3)
	@echo "LD $$@"
	$$(Q)$$(CC) $$(CFLAGS) $$(HARDEN) $$(LHARDEN) $$(LDFLAGS) -o $$@ $$^ \
	    -Wl,--as-needed $$(LIBS)
endef
$(eval $(call program,cc-proxy,parent,$(BUILD)/libcommon.a))
$(eval $(call program,ccp-frontend,frontend,$(BUILD)/libcommon.a))
$(eval $(call program,ccp-vmengine,vmengine,$(BUILD)/libcommon.a))
$(eval $(call program,cc-proxyctl,ctl,$(BUILD)/libclient.a $(BUILD)/libcommon.a))
$(eval $(call program,ccp-guest,guest,$(BUILD)/libcommon.a))

define library
$(BUILD)/$(1): $(call objects,$(2))
	$$(Q)$(AR) rcs $$@ $$?
endef
$(eval $(call library,libcommon.a,common))
$(eval $(call library,libclient.a,lib))
$(eval $(call library,libparent.a,parent))
$(eval $(call library,libfrontend.a,frontend))
$(eval $(call library,libvmengine.a,vmengine))

include regress/regress.mk
include selinux/selinux.mk

# Packages and users of a fresh Debian; nothing is done if all is there.
missing	= $(shell for p in $(1); do dpkg-query -W -f='$${Status}' $$p \
	    2>/dev/null | grep -q 'ok installed' || echo $$p; done)

define apt
@set -- $(call missing,$(1)); if [ $$# -gt 0 ]; then \
	echo "installing $$*"; apt-get -q update && \
	DEBIAN_FRONTEND=noninteractive apt-get -q -y \
	    --no-install-recommends install "$$@"; \
fi
endef

deps-build:
	$(call apt,$(DEPS_BUILD))

deps:
	$(call apt,$(DEPS_BUILD) $(DEPS_TEST))

deps-vm:
	$(call apt,$(DEPS_VM))

# The users that the frontend and the engines become when root starts them.
users:
	@for u in _ccproxy _ccengine; do \
		id $$u >/dev/null 2>&1 || useradd --system --user-group \
		    --no-create-home --home-dir /nonexistent \
		    --shell /usr/sbin/nologin $$u || exit 1; \
	done

demo:
	@if [ "$$(id -u)" = 0 ]; then \
		$(MAKE) --no-print-directory deps-build users \
		    $(if $(VM),deps-vm); fi
	@$(MAKE) --no-print-directory all
	@VM=$(VM) sh demo/demo.sh $(BUILD)

install: all
	$(INSTALL) -d $(DESTDIR)$(PROXYDIR) $(DESTDIR)$(BINDIR)
	$(INSTALL) -m 755 $(BUILD)/cc-proxy $(BUILD)/ccp-frontend \
	    $(BUILD)/ccp-vmengine $(BUILD)/ccp-guest $(DESTDIR)$(PROXYDIR)
	$(INSTALL) -m 755 $(BUILD)/cc-proxyctl $(DESTDIR)$(BINDIR)
	$(INSTALL) -d $(DESTDIR)$(PREFIX)/share/cc-proxy
	$(INSTALL) -m 644 examples/cc-proxy.conf \
	    $(DESTDIR)$(PREFIX)/share/cc-proxy
	set -e; for m in $(MAN); do s=$${m##*.}; \
		$(INSTALL) -d $(DESTDIR)$(MANDIR)/man$$s; \
		$(INSTALL) -m 644 $$m $(DESTDIR)$(MANDIR)/man$$s; done
	@$(MAKE) --no-print-directory install-systemd

SYSTEMD		:= $(patsubst %.in,$(BUILD)/%,$(wildcard systemd/*.in))
UNITS		:= $(filter %.service %.socket,$(SYSTEMD))

# Made anew each time: nothing tells when a directory was given another name.
.PHONY: install-systemd $(SYSTEMD)
$(SYSTEMD): $(BUILD)/%: %.in
	@mkdir -p $(@D)
	@sed -e 's,@libexecdir@,$(LIBEXECDIR),g' \
	    -e 's,@bindir@,$(BINDIR),g' \
	    -e 's,@localstatedir@/run,$(RUNSTATEDIR),g' $< >$@

install-systemd: $(SYSTEMD)
	set -e; [ -z "$(UNITDIR)" ] || { \
		$(INSTALL) -d $(DESTDIR)$(UNITDIR); \
		$(INSTALL) -m 644 $(UNITS) $(DESTDIR)$(UNITDIR); }
	set -e; [ -z "$(SYSUSERSDIR)" ] || { \
		$(INSTALL) -d $(DESTDIR)$(SYSUSERSDIR); \
		$(INSTALL) -m 644 $(BUILD)/systemd/cc-proxy.sysusers \
		    $(DESTDIR)$(SYSUSERSDIR)/cc-proxy.conf; }
	set -e; [ -z "$(TMPFILESDIR)" ] || { \
		$(INSTALL) -d $(DESTDIR)$(TMPFILESDIR); \
		$(INSTALL) -m 644 $(BUILD)/systemd/cc-proxy.tmpfiles \
		    $(DESTDIR)$(TMPFILESDIR)/cc-proxy.conf; }

dist:
	git archive --format=tar --prefix=cc-proxy-$(VERSION)/ HEAD | \
	    gzip -n >cc-proxy-$(VERSION).tar.gz

format:
	clang-format -i $(foreach f,$(FOLDERS),$(wildcard $(f)/*.[ch]))

clean:
	rm -rf build

-include $(OBJECTS:.o=.d)
