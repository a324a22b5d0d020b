/* SPDX-License-Identifier: ISC */

/*
 * The network of a VM, IPv4: interfaces, addresses and routes as the host
 * wants them.  Runs in a child that may wait for a device; what the kernel
 * refuses is an error, what is there already is not.
 */

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "guest.h"

#define NET_WAIT	5000	/* for a device, milliseconds */
#define NET_STEP	50

static int	net_socket(void);
static int	net_flags(int, const char *, short, short);
static int	net_find(json_t *, char *);
static void	net_address(int, int, const char *, unsigned int,
		    const char *, const char *);
static int	net_mask(const char *, struct in_addr *);
static void	net_sockaddr(struct sockaddr *, struct in_addr);

static int
net_socket(void)
{
	return (socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static void
net_sockaddr(struct sockaddr *sa, struct in_addr addr)
{
	struct sockaddr_in	sin;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr = addr;
	memcpy(sa, &sin, sizeof(sin));
}

static int
net_flags(int s, const char *name, short set, short clear)
{
	struct ifreq	ifr;

	memset(&ifr, 0, sizeof(ifr));
	(void)strlcpy(ifr.ifr_name, name, sizeof(ifr.ifr_name));
	if (ioctl(s, SIOCGIFFLAGS, &ifr) == -1)
		return (-1);
	ifr.ifr_flags = (short)((ifr.ifr_flags | set) & ~clear);
	return (ioctl(s, SIOCSIFFLAGS, &ifr));
}

void
guest_net_lo(void)
{
	int	s;

	if ((s = net_socket()) == -1)
		return;
	(void)net_flags(s, "lo", IFF_UP, 0);
	close(s);
}

/* The name of the device meant: by hardware address, name or new name. */
static int
net_find(json_t *conf, char *name)
{
	const char	*mac, *dev, *p;
	char		 buf[64];
	glob_t		 gl;
	size_t		 i;
	ssize_t		 n;
	int		 fd, found = 0;

	mac = guest_json_string(conf, "macAddr");
	if ((dev = guest_json_string(conf, "device")) == NULL || *dev == '\0')
		dev = guest_json_string(conf, "newDeviceName");
	if (mac == NULL || *mac == '\0') {
		if (dev == NULL || if_nametoindex(dev) == 0)
			return (-1);
		(void)strlcpy(name, dev, IFNAMSIZ);
		return (0);
	}
	if (glob("/sys/class/net/*/address", 0, NULL, &gl) != 0)
		return (-1);
	for (i = 0; i < gl.gl_pathc && found == 0; i++) {
		if ((fd = open(gl.gl_pathv[i], O_RDONLY | O_CLOEXEC)) == -1)
			continue;
		n = read(fd, buf, sizeof(buf) - 1);
		close(fd);
		buf[n > 0 ? n : 0] = '\0';
		buf[strcspn(buf, "\n")] = '\0';
		if (strcasecmp(buf, mac) != 0)
			continue;
		p = gl.gl_pathv[i] + strlen("/sys/class/net/");
		(void)snprintf(name, IFNAMSIZ, "%.*s", (int)strcspn(p, "/"),
		    p);
		found = 1;
	}
	globfree(&gl);
	return (found == 1 ? 0 : -1);
}

/* "24" or "255.255.255.0" */
static int
net_mask(const char *text, struct in_addr *mask)
{
	const char	*errstr;
	uint32_t	 n;

	n = (uint32_t)strtonum(text, 0, 32, &errstr);
	if (errstr != NULL)
		return (inet_pton(AF_INET, text, mask) == 1 ? 0 : -1);
	mask->s_addr = htonl(n == 0 ? 0 : ~(uint32_t)0 << (32 - n));
	return (0);
}

/* Each further address has a label of its own. */
static void
net_address(int fd, int s, const char *name, unsigned int n, const char *ip,
    const char *netmask)
{
	struct in_addr	addr, mask;
	struct ifreq	ifr;

	if (inet_pton(AF_INET, ip, &addr) != 1 || netmask == NULL ||
	    net_mask(netmask, &mask) == -1)
		guest_job_fail(fd, "interface %s: bad address", name);
	memset(&ifr, 0, sizeof(ifr));
	if (n == 0)
		(void)strlcpy(ifr.ifr_name, name, sizeof(ifr.ifr_name));
	else
		(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%.10s:%u",
		    name, n % 1000);
	net_sockaddr(&ifr.ifr_addr, addr);
	if (ioctl(s, SIOCSIFADDR, &ifr) == -1)
		guest_job_fail(fd, "interface %s: %s: %s", name, ip,
		    strerror(errno));
	net_sockaddr(&ifr.ifr_netmask, mask);
	if (ioctl(s, SIOCSIFNETMASK, &ifr) == -1)
		guest_job_fail(fd, "interface %s: netmask %s: %s", name,
		    netmask, strerror(errno));
}

void
guest_net_interface(int fd, json_t *conf)
{
	const char	*newname, *ip;
	struct ifreq	 ifr;
	json_t		*list, *v;
	char		 name[IFNAMSIZ];
	int64_t		 mtu = 0;
	unsigned int	 n = 0;
	size_t		 i;
	int		 s, waited = 0;

	if ((s = net_socket()) == -1)
		guest_job_fail(fd, "network: %s", strerror(errno));
	while (net_find(conf, name) == -1) {
		if (waited >= NET_WAIT)
			guest_job_fail(fd, "interface: no such device");
		(void)usleep(NET_STEP * 1000);
		waited += NET_STEP;
	}
	newname = guest_json_string(conf, "newDeviceName");
	memset(&ifr, 0, sizeof(ifr));
	(void)strlcpy(ifr.ifr_name, name, sizeof(ifr.ifr_name));
	if (newname != NULL && *newname != '\0' &&
	    strcmp(newname, name) != 0) {
		(void)net_flags(s, name, 0, IFF_UP);
		(void)strlcpy(ifr.ifr_newname, newname,
		    sizeof(ifr.ifr_newname));
		if (ioctl(s, SIOCSIFNAME, &ifr) == -1)
			guest_job_fail(fd, "interface %s: name: %s", name,
			    strerror(errno));
		(void)strlcpy(name, newname, sizeof(name));
		(void)strlcpy(ifr.ifr_name, name, sizeof(ifr.ifr_name));
	}
	if (guest_json_int(conf, "mtu", &mtu) == 1 && mtu > 0 &&
	    mtu <= INT_MAX) {
		ifr.ifr_mtu = (int)mtu;
		if (ioctl(s, SIOCSIFMTU, &ifr) == -1)
			guest_job_fail(fd, "interface %s: mtu: %s", name,
			    strerror(errno));
	}
	list = guest_json_get(conf, "ipAddresses");
	json_array_foreach(list, i, v) {
		ip = guest_json_string(v, "ipAddress");
		if (ip != NULL && *ip != '\0')
			net_address(fd, s, name, n++, ip,
			    guest_json_string(v, "netMask"));
	}
	ip = guest_json_string(conf, "ipAddress");
	if (ip != NULL && *ip != '\0')
		net_address(fd, s, name, n++, ip,
		    guest_json_string(conf, "netMask"));
	if (net_flags(s, name, IFF_UP, 0) == -1)
		guest_job_fail(fd, "interface %s: %s", name, strerror(errno));
	close(s);
}

/* Unplugs the PCI function behind the virtio device. */
void
guest_net_delete(int fd, json_t *conf)
{
	char	name[IFNAMSIZ], path[PATH_MAX];
	int	f;

	if (net_find(conf, name) == -1)
		guest_job_fail(fd, "interface: no such device");
	(void)snprintf(path, sizeof(path),
	    "/sys/class/net/%s/device/../remove", name);
	if ((f = open(path, O_WRONLY | O_CLOEXEC)) == -1 ||
	    write(f, "1", 1) == -1)
		guest_job_fail(fd, "interface %s: %s", name, strerror(errno));
	close(f);
}

void
guest_net_route(int fd, json_t *conf)
{
	const char	*dest, *gateway, *device;
	struct in_addr	 addr, mask, gw;
	struct rtentry	 rt;
	char		 buf[64], dev[IFNAMSIZ], *slash;
	int		 s;

	dest = guest_json_string(conf, "dest");
	gateway = guest_json_string(conf, "gateway");
	device = guest_json_string(conf, "device");
	if (dest == NULL || *dest == '\0' || strcmp(dest, "default") == 0 ||
	    strcmp(dest, "any") == 0 || strcmp(dest, "all") == 0)
		dest = "0.0.0.0/0";
	(void)strlcpy(buf, dest, sizeof(buf));
	if ((slash = strchr(buf, '/')) != NULL)
		*slash++ = '\0';
	if (inet_pton(AF_INET, buf, &addr) != 1 ||
	    net_mask(slash != NULL ? slash : "32", &mask) == -1)
		guest_job_fail(fd, "route: bad destination %.40s", dest);
	memset(&rt, 0, sizeof(rt));
	addr.s_addr &= mask.s_addr;
	net_sockaddr(&rt.rt_dst, addr);
	net_sockaddr(&rt.rt_genmask, mask);
	rt.rt_flags = RTF_UP;
	if (mask.s_addr == INADDR_NONE)
		rt.rt_flags |= RTF_HOST;
	if (gateway != NULL && *gateway != '\0') {
		if (inet_pton(AF_INET, gateway, &gw) != 1)
			guest_job_fail(fd, "route: bad gateway");
		net_sockaddr(&rt.rt_gateway, gw);
		rt.rt_flags |= RTF_GATEWAY;
	}
	if (device != NULL && *device != '\0') {
		(void)strlcpy(dev, device, sizeof(dev));
		rt.rt_dev = dev;
	}
	if ((s = net_socket()) == -1 ||
	    (ioctl(s, SIOCADDRT, &rt) == -1 && errno != EEXIST))
		guest_job_fail(fd, "route %.40s: %s", dest, strerror(errno));
	close(s);
}
