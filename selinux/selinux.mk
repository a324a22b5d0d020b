# SPDX-License-Identifier: ISC
#
# The SELinux module: `make selinux` builds it with the policy headers of the
# distribution.  Included by the Makefile.

SELINUX_DEVEL	?= /usr/share/selinux/devel/Makefile
SELINUX_DIR	?= $(PREFIX)/share/selinux/packages
# Where modules of others find the interfaces.
SELINUX_IFDIR	?= $(PREFIX)/share/selinux/devel/include/services
SELINUX_SRCS	:= $(addprefix selinux/cc-proxy,.te .if .fc)

.PHONY: selinux install-selinux check-selinux deps-selinux

selinux: $(BUILD)/selinux/cc-proxy.pp.bz2 $(BUILD)/selinux/cc-proxy-ksm.cil

# The file contexts follow where the programs are installed.  What a build in
# the same place left behind may be of other headers.
$(BUILD)/selinux/cc-proxy.pp: $(SELINUX_SRCS) selinux/selinux.mk
	@[ -f $(SELINUX_DEVEL) ] || { \
		echo "no $(SELINUX_DEVEL): apt-get install selinux-policy-dev" \
		    >&2; exit 1; }
	@mkdir -p $(@D)
	@rm -rf $(@D)/tmp
	$(Q)cp $(SELINUX_SRCS) $(@D)
	$(Q)sed 's,^/usr/libexec/clear-containers/,$(PROXYDIR)/,' \
	    selinux/cc-proxy.fc >$(@D)/cc-proxy.fc
	$(Q)$(MAKE) --no-print-directory -C $(@D) -f $(SELINUX_DEVEL) \
	    cc-proxy.pp

$(BUILD)/selinux/cc-proxy.pp.bz2: $(BUILD)/selinux/cc-proxy.pp
	$(Q)bzip2 -9 -c $< >$@

$(BUILD)/selinux/cc-proxy-ksm.cil: selinux/cc-proxy-ksm.cil
	@mkdir -p $(@D)
	$(Q)cp $< $@

install-selinux: selinux
	$(INSTALL) -d $(DESTDIR)$(SELINUX_DIR) $(DESTDIR)$(SELINUX_IFDIR)
	$(INSTALL) -m 644 $(BUILD)/selinux/cc-proxy.pp.bz2 \
	    $(BUILD)/selinux/cc-proxy-ksm.cil $(DESTDIR)$(SELINUX_DIR)
	$(INSTALL) -m 644 selinux/cc-proxy.if $(DESTDIR)$(SELINUX_IFDIR)

deps-selinux:
	$(call apt,$(DEPS_BUILD) $(DEPS_SELINUX) $(DEPS_VM) debootstrap \
	    e2fsprogs)

# Boots a Debian with SELinux enforcing, and needs root to build it.
check-selinux: programs selinux
	regress/run CCP_BUILD=$(BUILD) regress/selinux/selinux_vm.sh
