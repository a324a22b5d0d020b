/* SPDX-License-Identifier: ISC */

/*
 * Commands in the words of hyperstart: every rule, what the shipped hosts
 * send, and text that is hostile; the ids and numbers in payloads, and the
 * event that a process has ended.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hyper.h"
#include "hypjson.h"
#include "test.h"

#define nitems(a)	(sizeof(a) / sizeof((a)[0]))

#define U		HYP_API_U
#define F		HYP_API_F
#define P		"\"process\":{\"args\":[\"a\"]}"
#define PU		"\"process\":{\"args\":[\"a\"],\"id\":\"init\"}"

static char	 dropped[HYP_DROPPED_MAX];
static char	 err[JSON_ERRMAX];

static struct json_slice
slice(const char *s)
{
	struct json_slice	 v = { s, strlen(s) };

	return (v);
}

/* A copy of its own, so that a byte read too many is seen. */
static char *
adapt(uint32_t code, unsigned int api, const char *container,
    const char *process, const char *in)
{
	struct hyp_target	 t = { api, container, process };
	struct json_slice	 v;
	char			*copy, *out;
	size_t			 len = 0;

	v.len = strlen(in);
	if ((copy = malloc(v.len + (v.len == 0))) == NULL)
		abort();
	memcpy(copy, in, v.len);
	v.p = copy;
	memset(dropped, 'x', sizeof(dropped));
	err[0] = '\0';
	out = hyp_adapt(code, v, &t, &len, dropped, err);
	free(copy);
	if (out != NULL && strlen(out) != len) {
		fprintf(stderr, "%s: wrong length\n", in);
		abort();
	}
	return (out);
}

/* in becomes want, and what is left out is left. */
static int
becomes(uint32_t code, unsigned int api, const char *in, const char *want,
    const char *left)
{
	char	*out;
	int	 good;

	out = adapt(code, api, NULL, code == HYP_EXECCMD ? "5" : "init", in);
	good = out != NULL && strcmp(out, want) == 0 &&
	    strcmp(dropped, left) == 0;
	if (!good)
		fprintf(stderr, "%u %u %s:\n\t%s (%s),\nwant\t%s (%s)\n",
		    code, api, in, out == NULL ? err : out, dropped, want,
		    left);
	free(out);
	return (good);
}

static int
same(uint32_t code, unsigned int api, const char *in)
{
	return (becomes(code, api, in, in, ""));
}

static int
all(uint32_t code, const char *in, const char *want, const char *left)
{
	return (becomes(code, 0, in, want, left) &
	    becomes(code, F, in, want, left) &
	    becomes(code, U, in, want, left));
}

static int
fails(uint32_t code, const char *in, const char *why)
{
	static const unsigned int	 apis[] = { 0, F, U };
	char				*out;
	size_t				 i;

	for (i = 0; i < nitems(apis); i++) {
		out = adapt(code, apis[i], "c", "p", in);
		if (out != NULL || strcmp(err, why) != 0) {
			fprintf(stderr, "%u %u %s:\n\t%s, want %s\n", code,
			    apis[i], in, out == NULL ? err : out, why);
			free(out);
			return (0);
		}
	}
	return (1);
}

static void
test_hosts(void)
{
	static const char	 h3[] = "{\"id\":\"web1\",\"rootfs\":"
	    "\"rootfs\",\"image\":\"web1\",\"fsmap\":[{\"source\":"
	    "\"web1-0011-data\",\"path\":\"/data\",\"readOnly\":false,"
	    "\"dockerVolume\":false,\"absolutePath\":false,\"scsiAddr\":\"\""
	    "}],\"process\":{\"user\":\"0\",\"group\":\"0\",\"terminal\":"
	    "false,\"stdio\":3,\"stderr\":4,\"args\":[\"sleep\",\"60\"],"
	    "\"envs\":[{\"env\":\"PATH\",\"value\":\"/bin\"}],\"workdir\":"
	    "\"/\",\"noNewPrivileges\":true,\"capabilities\":{\"bounding\":["
	    "\"CAP_CHOWN\"],\"effective\":[\"CAP_CHOWN\"],\"inheritable\":["
	    "\"CAP_CHOWN\"],\"permitted\":[\"CAP_CHOWN\"],\"ambient\":["
	    "\"CAP_CHOWN\"]}},\"restartPolicy\":\"\",\"initialize\":false,"
	    "\"systemMountsInfo\":{\"bindMountDev\":false,\"devShmSize\":0},"
	    "\"constraints\":{\"CPUQuota\":0,\"CPUPeriod\":0,\"CPUShares\":"
	    "0}}";
#define H3_OUT	"{\"id\":\"web1\",\"rootfs\":\"rootfs\",\"image\":\"web1\","  \
	    "\"fsmap\":[{\"source\":\"web1-0011-data\",\"path\":\"/data\"}"   \
	    "],\"process\":{\"stdio\":3,\"stderr\":4,\"args\":[\"sleep\","    \
	    "\"60\"],\"envs\":[{\"env\":\"PATH\",\"value\":\"/bin\"}],"       \
	    "\"workdir\":\"/\",\"user\":\"0\",\"group\":\"0\""
	static const char	 h3_exec[] = "{\"container\":\"web1\","
	    "\"process\":{\"terminal\":true,\"stdio\":5,\"args\":[\"sh\"],"
	    "\"envs\":[{\"env\":\"TERM\",\"value\":\"xterm\"}],\"workdir\":"
	    "\"/\",\"noNewPrivileges\":false,\"capabilities\":{\"bounding\":"
	    "null,\"effective\":null,\"inheritable\":null,\"permitted\":"
	    "null,\"ambient\":null}}}";
#define H3_EXEC	"{\"container\":\"web1\",\"process\":{\"terminal\":true,"     \
	    "\"stdio\":5,\"args\":[\"sh\"],\"envs\":[{\"env\":\"TERM\","      \
	    "\"value\":\"xterm\"}],\"workdir\":\"/\""
	static const char	 h3_pod[] = "{\"hostname\":\"pod-a\","
	    "\"interfaces\":[{\"newDeviceName\":\"eth0\",\"ipAddresses\":[{"
	    "\"ipAddress\":\"172.17.0.9\",\"netMask\":\"16\"}],\"mtu\":1500,"
	    "\"macAddr\":\"02:00:ca:fe:00:04\"}],\"routes\":[{\"dest\":"
	    "\"default\",\"gateway\":\"172.17.0.1\",\"device\":\"eth0\"}],"
	    "\"shareDir\":\"hyperShared\"}";
#define H3_POD1	"{\"hostname\":\"pod-a\",\"shareDir\":\"hyperShared\","	      \
	    "\"interfaces\":[{\"newDeviceName\":\"eth0\",\"ipAddresses\":[{"  \
	    "\"ipAddress\":\"172.17.0.9\",\"netMask\":\"16\"}],\"mtu\":1500"
#define H3_POD2	"}],\"routes\":[{\"dest\":\"default\",\"gateway\":"	      \
	    "\"172.17.0.1\",\"device\":\"eth0\"}]}"
	static const char	 hr[] = "{\"id\":\"c1\",\"rootfs\":"
	    "\"rootfs\",\"image\":\"c1\",\"sysctl\":{\"vm.overcommit_memory"
	    "\":\"1\"},\"process\":{\"id\":\"init\",\"terminal\":false,"
	    "\"stdio\":1,\"stderr\":2,\"args\":[\"sh\"],\"workdir\":\"/\"},"
	    "\"restartPolicy\":\"never\",\"initialize\":false,\"readOnly\":"
	    "false}";
#define HR1	"{\"id\":\"c1\",\"rootfs\":\"rootfs\",\"image\":\"c1\","      \
	    "\"sysctl\":{\"vm.overcommit_memory\":\"1\"},"		      \
	    "\"restartPolicy\":\"never\","
#define HR2	"\"process\":{\"stdio\":1,\"stderr\":2,\"args\":[\"sh\"],"    \
	    "\"workdir\":\"/\""
	static const char	 h2[] = "{\"hostname\":\"h\",\"containers\":"
	    "[],\"shareDir\":\"rootfs\",\"iptableRules\":\"*nat\"}";
	static const char	 h2_new[] = "{\"id\":\"c\",\"rootfs\":"
	    "\"rootfs\",\"image\":\"\",\"process\":{\"terminal\":true,"
	    "\"rows\":24,\"columns\":80,\"stdio\":7,\"stderr\":0,"
	    "\"args\":[\"sh\"],\"envs\":[],\"workdir\":\"\"}}";
#define H2_NEW	"{\"id\":\"c\",\"rootfs\":\"rootfs\",\"image\":\"\","	      \
	    "\"process\":{\"terminal\":true,\"stdio\":7,\"args\":[\"sh\"]"

	test_begin("hypjson: newcontainer as the proxy has it");
	CHECK(becomes(HYP_NEWCONTAINER, U, h3, H3_OUT ",\"id\":\"init\"}}",
	    "process.noNewPrivileges, process.capabilities"));
	CHECK(becomes(HYP_NEWCONTAINER, 0, h3, H3_OUT ",\"id\":\"init\"}}",
	    "process.noNewPrivileges, process.capabilities"));
	CHECK(becomes(HYP_NEWCONTAINER, F, h3, H3_OUT "}}",
	    "process.noNewPrivileges, process.capabilities"));

	test_begin("hypjson: execcmd and startpod as the proxy has them");
	CHECK(becomes(HYP_EXECCMD, U, h3_exec, H3_EXEC ",\"id\":\"5\"}}", ""));
	CHECK(becomes(HYP_EXECCMD, 0, h3_exec, H3_EXEC ",\"id\":\"5\"}}", ""));
	CHECK(becomes(HYP_EXECCMD, F, h3_exec, H3_EXEC "}}", ""));
	CHECK(becomes(HYP_STARTPOD, U, h3_pod, H3_POD1 H3_POD2,
	    "interfaces.macAddr"));
	CHECK(becomes(HYP_STARTPOD, F, h3_pod, H3_POD1
	    ",\"macAddr\":\"02:00:ca:fe:00:04\"" H3_POD2, ""));
	CHECK(becomes(HYP_STARTPOD, 0, h3_pod, H3_POD1
	    ",\"macAddr\":\"02:00:ca:fe:00:04\"" H3_POD2, ""));

	test_begin("hypjson: commands of the other hosts");
	CHECK(becomes(HYP_NEWCONTAINER, U, hr, HR1 "\"readOnly\":false," HR2
	    ",\"id\":\"init\"}}", ""));
	CHECK(becomes(HYP_NEWCONTAINER, 0, hr, HR1 HR2
	    ",\"id\":\"init\"}}", ""));
	CHECK(becomes(HYP_NEWCONTAINER, F, hr, HR1 HR2 "}}", "process.id"));
	CHECK(becomes(HYP_STARTPOD, U, h2, "{\"hostname\":\"h\","
	    "\"shareDir\":\"rootfs\"}", "iptableRules"));
	CHECK(becomes(HYP_STARTPOD, F, h2, "{\"hostname\":\"h\","
	    "\"shareDir\":\"rootfs\",\"iptableRules\":\"*nat\"}", ""));
	CHECK(becomes(HYP_STARTPOD, 0, h2, "{\"hostname\":\"h\","
	    "\"shareDir\":\"rootfs\",\"iptableRules\":\"*nat\"}", ""));
	CHECK(becomes(HYP_NEWCONTAINER, F, h2_new, H2_NEW
	    ",\"rows\":24,\"columns\":80}}", ""));
	CHECK(becomes(HYP_NEWCONTAINER, U, h2_new, H2_NEW
	    ",\"id\":\"init\"}}", "process.rows, process.columns"));
	CHECK(becomes(HYP_NEWCONTAINER, 0, h2_new, H2_NEW
	    ",\"id\":\"init\"}}", "process.rows, process.columns"));
}

static void
test_newcontainer(void)
{
	test_begin("hypjson: a container's members and their order");
	CHECK(becomes(HYP_NEWCONTAINER, U, "{" P ",\"readOnly\":true,"
	    "\"ports\":[{\"protocol\":\"tcp\",\"hostPort\":80,\"ip\":1,"
	    "\"containerPort\":8080}],\"restartPolicy\":\"never\","
	    "\"initialize\":true,\"sysctl\":{\"a\" : \"b\"},\"fsmap\":[],"
	    "\"volumes\":null,\"addr\":\"0:1\",\"fstype\":\"xfs\","
	    "\"image\":\"i\",\"rootfs\":\"r\",\"id\":\"c\"}",
	    "{\"id\":\"c\",\"rootfs\":\"r\",\"image\":\"i\",\"fstype\":"
	    "\"xfs\",\"addr\":\"0:1\",\"sysctl\":{\"a\" : \"b\"},"
	    "\"initialize\":true,\"restartPolicy\":\"never\",\"ports\":[{"
	    "\"hostPort\":80,\"containerPort\":8080,\"protocol\":\"tcp\"}],"
	    "\"readOnly\":true," PU "}", "ports.ip"));
	CHECK(becomes(HYP_NEWCONTAINER, F, "{\"id\":\"c\",\"rootfs\":null,"
	    "\"process\":{\"args\":[\"a\"],\"stdio\":99999999999999999999}}",
	    "{\"id\":\"c\",\"process\":{\"stdio\":99999999999999999999,"
	    "\"args\":[\"a\"]}}", ""));
	CHECK(becomes(HYP_NEWCONTAINER, U, "{\"id\":\"c\",\"rootfs\":\"\","
	    "\"image\":\"\",\"fstype\":\"\",\"addr\":\"\"," P "}",
	    "{\"id\":\"c\",\"rootfs\":\"\",\"image\":\"\"," PU "}", ""));

	test_begin("hypjson: addr and scsiAddr");
	CHECK(becomes(HYP_NEWCONTAINER, U, "{\"id\":\"c\",\"scsiAddr\":"
	    "\"0:1\"," P "}", "{\"id\":\"c\",\"addr\":\"0:1\"," PU "}", ""));
	CHECK(becomes(HYP_NEWCONTAINER, U, "{\"id\":\"c\",\"addr\":\"\","
	    "\"scsiAddr\":\"0:1\"," P "}",
	    "{\"id\":\"c\",\"addr\":\"0:1\"," PU "}", ""));
	CHECK(becomes(HYP_NEWCONTAINER, U, "{\"id\":\"c\",\"scsiAddr\":"
	    "\"0:1\",\"addr\":\"0:2\"," P "}",
	    "{\"id\":\"c\",\"addr\":\"0:2\"," PU "}", "scsiAddr"));
	CHECK(becomes(HYP_NEWCONTAINER, U, "{\"id\":\"c\",\"scsiAddr\":\"\","
	    P "}", "{\"id\":\"c\"," PU "}", ""));

	test_begin("hypjson: readOnly");
	CHECK(becomes(HYP_NEWCONTAINER, F, "{\"id\":\"c\",\"readOnly\":true,"
	    P "}", "{\"id\":\"c\",\"readOnly\":true," P "}", ""));
	CHECK(becomes(HYP_NEWCONTAINER, 0, "{\"id\":\"c\",\"readOnly\":true,"
	    P "}", "{\"id\":\"c\",\"readOnly\":true," PU "}", ""));
	CHECK(becomes(HYP_NEWCONTAINER, F, "{\"id\":\"c\",\"readOnly\":false,"
	    P "}", "{\"id\":\"c\"," P "}", ""));
	CHECK(becomes(HYP_NEWCONTAINER, 0, "{\"id\":\"c\",\"readOnly\":false,"
	    P "}", "{\"id\":\"c\"," PU "}", ""));
	/* The guest would take these for true. */
	CHECK(becomes(HYP_NEWCONTAINER, U, "{\"id\":\"c\",\"readOnly\":null,"
	    P "}", "{\"id\":\"c\"," PU "}", ""));
	CHECK(becomes(HYP_NEWCONTAINER, U, "{\"id\":\"c\",\"readOnly\":0," P
	    "}", "{\"id\":\"c\"," PU "}", ""));

	test_begin("hypjson: containers that are refused");
	CHECK(fails(HYP_NEWCONTAINER, "{" P "}", "newcontainer: no id"));
	CHECK(fails(HYP_NEWCONTAINER, "{}", "newcontainer: no id"));
	CHECK(fails(HYP_NEWCONTAINER, "{\"id\":\"\"," P "}",
	    "newcontainer: no id"));
	CHECK(fails(HYP_NEWCONTAINER, "{\"id\":5," P "}",
	    "newcontainer: no id"));
	CHECK(fails(HYP_NEWCONTAINER, "{\"id\":null," P "}",
	    "newcontainer: no id"));
	CHECK(fails(HYP_NEWCONTAINER, "{\"id\":\"a\\ud800b\"," P "}",
	    "newcontainer: no id"));
	CHECK(fails(HYP_NEWCONTAINER, "{\"id\":\"a\\udc00b\"," P "}",
	    "newcontainer: no id"));
	CHECK(fails(HYP_NEWCONTAINER, "{\"id\":\"\\u0000b\"," P "}",
	    "newcontainer: no id"));
	CHECK(fails(HYP_NEWCONTAINER, "{\"id\":\"c\"}",
	    "newcontainer: no process"));
	CHECK(fails(HYP_NEWCONTAINER, "{\"id\":\"c\",\"process\":null}",
	    "newcontainer: no process"));
	CHECK(fails(HYP_NEWCONTAINER, "{\"id\":\"c\",\"process\":[]}",
	    "newcontainer: no process"));
	CHECK(fails(HYP_NEWCONTAINER, "{\"id\":\"c\",\"process\":\"{\"}",
	    "newcontainer: no process"));
	CHECK(fails(HYP_NEWCONTAINER, "{\"id\":\"c\",\"process\":{\"args\":["
	    " ]}}", "newcontainer: no args"));
	CHECK(fails(HYP_NEWCONTAINER, "{\"id\":\"c\",\"process\":{\"args\":"
	    "null}}", "newcontainer: no args"));
	CHECK(fails(HYP_NEWCONTAINER, "{\"id\":\"c\",\"process\":{\"args\":["
	    "\"a\"],\"args\":[]}}", "newcontainer: no args"));
	/* Absent, the guest answers. */
	CHECK(becomes(HYP_NEWCONTAINER, F, "{\"id\":\"c\",\"process\":{"
	    "\"stdio\":3}}", "{\"id\":\"c\",\"process\":{\"stdio\":3}}", ""));

	test_begin("hypjson: members that the guest does not know");
	CHECK(becomes(HYP_NEWCONTAINER, F, "{\"id\":\"c\",\"constraints\":{"
	    "\"CPUQuota\":1},\"systemMountsInfo\":{\"bindMountDev\":true},"
	    "\"x\":0.0,\"y\":-0e7,\"z\":{\"a\":{\"b\":[ ],\"c\":\"\"}}," P
	    "}", "{\"id\":\"c\"," P "}", "constraints, systemMountsInfo"));
	CHECK(becomes(HYP_NEWCONTAINER, F, "{\"id\":\"c\",\"a\":[0],\"b\":"
	    "0.01,\"c\":{\"d\":true},\"d\":\"x\",\"e\":-1,\"f\":{\"g\":[{}]}"
	    "," P "}", "{\"id\":\"c\"," P "}", "a, b, c, d, e, f"));
	CHECK(becomes(HYP_NEWCONTAINER, F, "{\"id\":\"c\",\"x\":1,\"x\":2,"
	    "\"xx\":1,\"x\":1," P "}", "{\"id\":\"c\"," P "}", "x, xx"));
}

static void
test_mounts(void)
{
	test_begin("hypjson: volumes");
	CHECK(becomes(HYP_NEWCONTAINER, F, "{\"id\":\"c\",\"volumes\":[{"
	    "\"dockerVolume\":true,\"readOnly\":true,\"fstype\":\"ext4\","
	    "\"mount\":\"/m\",\"addr\":\"0:1\",\"device\":\"vdb\",\"x\":1}, {"
	    "\"FSTYPE\":\"nfs\",\"readOnly\":false}]," P "}",
	    "{\"id\":\"c\",\"volumes\":[{\"device\":\"vdb\",\"addr\":"
	    "\"0:1\",\"mount\":\"/m\",\"fstype\":\"ext4\",\"readOnly\":true,"
	    "\"dockerVolume\":true},{\"fstype\":\"nfs\"}]," P "}",
	    "volumes.x"));
	CHECK(fails(HYP_NEWCONTAINER, "{\"id\":\"c\",\"volumes\":[{"
	    "\"device\":\"vdb\"}]," P "}",
	    "newcontainer: volume without fstype"));
	CHECK(fails(HYP_NEWCONTAINER, "{\"id\":\"c\",\"volumes\":[{"
	    "\"fstype\":\"\"}]," P "}",
	    "newcontainer: volume without fstype"));
	CHECK(fails(HYP_NEWCONTAINER, "{\"id\":\"c\",\"volumes\":[null]," P
	    "}", "newcontainer: volume without fstype"));
	CHECK(becomes(HYP_NEWCONTAINER, F, "{\"id\":\"c\",\"volumes\":\"x\","
	    P "}", "{\"id\":\"c\",\"volumes\":\"x\"," P "}", ""));

	test_begin("hypjson: fsmap");
	CHECK(becomes(HYP_NEWCONTAINER, F, "{\"id\":\"c\",\"fsmap\":[{"
	    "\"dockerVolume\":true,\"readOnly\":true,\"path\":\"/p\","
	    "\"source\":\"s\",\"absolutePath\":false,\"scsiAddr\":\"\","
	    "\"x\":1},5]," P "}", "{\"id\":\"c\",\"fsmap\":[{\"source\":"
	    "\"s\",\"path\":\"/p\",\"readOnly\":true,\"dockerVolume\":true},"
	    "5]," P "}", "fsmap.x"));
	CHECK(fails(HYP_NEWCONTAINER, "{\"id\":\"c\",\"fsmap\":[{\"source\":"
	    "\"/s\",\"absolutePath\":true}]," P "}",
	    "newcontainer: the guest knows no absolutePath"));
	CHECK(fails(HYP_NEWCONTAINER, "{\"id\":\"c\",\"fsmap\":[{},{"
	    "\"scsiAddr\":\"0:1\"}]," P "}",
	    "newcontainer: the guest knows no scsiAddr"));
}

static void
test_process(void)
{
	static const char	 in[] = "{\"container\":\"c\",\"process\":{"
	    "\"id\":\"p1\",\"columns\":80,\"rows\":24,\"additionalGroups\":["
	    "\"5\"],\"group\":\"g\",\"user\":\"u\",\"workdir\":\"/\","
	    "\"envs\":[{\"value\":\"1\",\"env\":\"A\"}],\"args\":[\"a\" ],"
	    "\"stderr\":4,\"stdio\":3,\"terminal\":true,\"rlimits\":[{}],"
	    "\"noNewPrivileges\":true,\"capabilities\":{\"bounding\":[]},"
	    "\"new\":1},\"other\":1}";
#define PROC	"{\"container\":\"c\",\"process\":{\"terminal\":true,"	      \
	    "\"stdio\":3,\"stderr\":4,\"args\":[\"a\" ],\"envs\":[{\"env\":"  \
	    "\"A\",\"value\":\"1\"}],\"workdir\":\"/\",\"user\":\"u\","	      \
	    "\"group\":\"g\",\"additionalGroups\":[\"5\"]"
	char			*out;

	test_begin("hypjson: a process's members and their order");
	CHECK(becomes(HYP_EXECCMD, U, in, PROC ",\"id\":\"p1\"}}", "other, "
	    "process.rlimits, process.noNewPrivileges, process.new, "
	    "process.rows, process.columns"));
	CHECK(becomes(HYP_EXECCMD, 0, in, PROC ",\"id\":\"p1\"}}", "other, "
	    "process.rlimits, process.noNewPrivileges, process.new, "
	    "process.rows, process.columns"));
	CHECK(becomes(HYP_EXECCMD, F, in, PROC
	    ",\"rows\":24,\"columns\":80}}", "other, process.rlimits, "
	    "process.noNewPrivileges, process.new, process.id"));

	test_begin("hypjson: the id of a process");
	CHECK(becomes(HYP_EXECCMD, U, "{\"container\":\"c\",\"process\":{"
	    "\"id\":\"\"}}", "{\"container\":\"c\",\"process\":{\"id\":"
	    "\"5\"}}", ""));
	CHECK(becomes(HYP_EXECCMD, U, "{\"container\":\"c\",\"process\":{"
	    "\"id\":7}}", "{\"container\":\"c\",\"process\":{\"id\":\"5\"}}",
	    ""));
	CHECK(becomes(HYP_EXECCMD, U, "{\"container\":\"c\",\"process\":{"
	    "\"id\":\"\\ud83d\\ude00\"}}", "{\"container\":\"c\","
	    "\"process\":{\"id\":\"\\ud83d\\ude00\"}}", ""));
	CHECK(becomes(HYP_EXECCMD, F, "{\"container\":\"c\",\"process\":{}}",
	    "{\"container\":\"c\",\"process\":{}}", ""));
	out = adapt(HYP_EXECCMD, U, NULL, "a\"\\\n<\xff", "{\"container\":"
	    "\"c\",\"process\":{}}");
	CHECK(out != NULL && strcmp(out, "{\"container\":\"c\",\"process\":{"
	    "\"id\":\"a\\\"\\\\\\n\\u003c\\ufffd\"}}") == 0);
	free(out);
	out = adapt(HYP_EXECCMD, U, NULL, NULL, "{\"container\":\"c\","
	    "\"process\":{}}");
	CHECK(out != NULL && strcmp(out, "{\"container\":\"c\",\"process\":{}"
	    "}") == 0);
	free(out);

	test_begin("hypjson: the environment of a process");
	CHECK(becomes(HYP_EXECCMD, F, "{\"container\":\"c\",\"process\":{"
	    "\"envs\":[{\"env\":\"A\"}, {\"value\":null,\"env\":\"B\"},{"
	    "\"value\":\"x\"},{\"env\":\"\",\"value\":\"y\"},null,5,{},{"
	    "\"env\":\"C\",\"value\":0,\"z\":1}]}}", "{\"container\":\"c\","
	    "\"process\":{\"envs\":[{\"env\":\"A\",\"value\":\"\"},{"
	    "\"env\":\"B\",\"value\":\"\"},{\"env\":\"C\",\"value\":0}]}}",
	    "process.envs.z"));
	/* Nothing is left of these. */
	CHECK(becomes(HYP_EXECCMD, F, "{\"container\":\"c\",\"process\":{"
	    "\"stdio\":3,\"envs\":[{\"value\":\"\"},{}],\"user\":\"u\"}}",
	    "{\"container\":\"c\",\"process\":{\"stdio\":3,\"user\":\"u\"}}",
	    ""));
	CHECK(becomes(HYP_STARTPOD, F, "{\"hostname\":\"h\","
	    "\"portmappingWhiteLists\":{\"x\":1,\"internalNetworks\":[]}}",
	    "{\"hostname\":\"h\"}", "portmappingWhiteLists.x"));

	test_begin("hypjson: execcmd that is refused");
	CHECK(fails(HYP_EXECCMD, "{" P "}", "execcmd: no container"));
	CHECK(fails(HYP_EXECCMD, "{\"container\":\"\"," P "}",
	    "execcmd: no container"));
	CHECK(fails(HYP_EXECCMD, "{\"container\":{}," P "}",
	    "execcmd: no container"));
	CHECK(fails(HYP_EXECCMD, "{\"container\":\"c\"}",
	    "execcmd: no process"));
	CHECK(fails(HYP_EXECCMD, "{\"container\":\"c\",\"process\":1}",
	    "execcmd: no process"));
	CHECK(fails(HYP_EXECCMD, "{\"container\":\"c\",\"process\":{\"Args\":"
	    "[]}}", "execcmd: no args"));
}

static void
test_startpod(void)
{
	static const char	 in[] = "{\"x\":1,\"restartPolicy\":\"no\","
	    "\"iptableRules\":\"r\",\"portmappingWhiteLists\":{"
	    "\"externalNetworks\":[\"10.0.0.0/8\"],\"internalNetworks\":[],"
	    "\"y\":1},\"dnsOptions\":[\"o\"],\"dnsSearch\":[\"s\"],\"dns\":["
	    "\"1.1.1.1\"],\"routes\":[{}],\"interfaces\":[{\"device\":\"e\"}]"
	    ",\"containers\":[{\"id\":\"c\",\"z\":1,\"process\":{\"q\":1,"
	    "\"args\":[\"a\"]}}],\"shareDir\":\"s\",\"hostname\":\"h\"}";
#define POD1	"{\"hostname\":\"h\",\"shareDir\":\"s\",\"containers\":[{"    \
	    "\"id\":\"c\","
#define POD2	"}],\"interfaces\":[{\"device\":\"e\"}],\"routes\":[{"	      \
	    "\"dest\":\"default\"}],\"dns\":[\"1.1.1.1\"]"
#define POD3	",\"dnsSearch\":[\"s\"],\"dnsOptions\":[\"o\"]"
#define POD4	",\"portmappingWhiteLists\":{\"externalNetworks\":["	      \
	    "\"10.0.0.0/8\"]}"
	char			*out;

	test_begin("hypjson: a pod's members and their order");
	CHECK(becomes(HYP_STARTPOD, U, in, POD1 PU POD2 POD3 POD4
	    ",\"restartPolicy\":\"no\"}", "x, iptableRules, containers.z, "
	    "containers.process.q, portmappingWhiteLists.y"));
	CHECK(becomes(HYP_STARTPOD, 0, in, POD1 PU POD2 POD3 POD4
	    ",\"iptableRules\":\"r\",\"restartPolicy\":\"no\"}", "x, "
	    "containers.z, containers.process.q, portmappingWhiteLists.y"));
	CHECK(becomes(HYP_STARTPOD, F, in, POD1 P POD2 POD4
	    ",\"iptableRules\":\"r\",\"restartPolicy\":\"no\"}", "x, "
	    "dnsSearch, dnsOptions, containers.z, containers.process.q, "
	    "portmappingWhiteLists.y"));
	out = adapt(HYP_STARTPOD, U, NULL, "other", "{\"hostname\":\"h\","
	    "\"containers\":[{\"id\":\"c\"," P "}]}");
	CHECK(out != NULL && strcmp(out, "{\"hostname\":\"h\","
	    "\"containers\":[{\"id\":\"c\"," PU "}]}") == 0);
	free(out);
	CHECK(all(HYP_STARTPOD, "{\"hostname\":\"h\",\"shareDir\":\"\","
	    "\"dns\":[],\"dnsSearch\":[],\"dnsOptions\":null,"
	    "\"iptableRules\":\"\",\"routes\":[],\"interfaces\":null,"
	    "\"portmappingWhiteLists\":{\"internalNetworks\":[],"
	    "\"externalNetworks\":[]}}", "{\"hostname\":\"h\"}", ""));

	test_begin("hypjson: pods that are refused");
	CHECK(fails(HYP_STARTPOD, "{}", "startpod: no hostname"));
	CHECK(fails(HYP_STARTPOD, "{\"hostname\":\"\"}",
	    "startpod: no hostname"));
	CHECK(fails(HYP_STARTPOD, "{\"hostname\":5}",
	    "startpod: no hostname"));
	CHECK(fails(HYP_STARTPOD, "{\"hostname\":\"h\",\"containers\":[{" P
	    "}]}", "newcontainer: no id"));
	CHECK(fails(HYP_STARTPOD, "{\"hostname\":\"h\",\"containers\":[null]"
	    "}", "newcontainer: no id"));
	CHECK(fails(HYP_STARTPOD, "{\"hostname\":\"h\",\"containers\":[{"
	    "\"id\":\"c\"}]}", "newcontainer: no process"));
	CHECK(fails(HYP_STARTPOD, "{\"hostname\":\"h\",\"interfaces\":[{"
	    "\"ipAddresses\":[{\"ipAddress\":\"1.1.1.1\"}]}]}",
	    "startpod: address without netMask"));
	CHECK(fails(HYP_STARTPOD, "{\"hostname\":\"h\",\"interfaces\":[{"
	    "\"ipAddresses\":[{\"ipAddress\":\"1.1.1.1\",\"netMask\":\"\"}]"
	    "}]}", "startpod: address without netMask"));
}

static void
test_network(void)
{
	static const char	 in[] = "{\"macAddr\":\"m\",\"mtu\":1500,"
	    "\"netMask\":\"8\",\"ipAddress\":\"10.0.0.1\",\"ipAddresses\":[{"
	    "\"netMask\":\"24\",\"ipAddress\":\"1.1.1.1\",\"x\":1}, {"
	    "\"ipAddress\":\"\",\"netMask\":\"24\"}],\"newDeviceName\":\"n\""
	    ",\"device\":\"d\",\"y\":1}";
#define IFACE	"{\"device\":\"d\",\"newDeviceName\":\"n\",\"ipAddresses\":[" \
	    "{\"ipAddress\":\"1.1.1.1\",\"netMask\":\"24\"},{\"ipAddress\":"  \
	    "\"\",\"netMask\":\"24\"}],\"ipAddress\":\"10.0.0.1\","	      \
	    "\"netMask\":\"8\",\"mtu\":1500"

	test_begin("hypjson: an interface");
	CHECK(becomes(HYP_SETUPINTERFACE, U, in, IFACE "}",
	    "y, macAddr, ipAddresses.x"));
	CHECK(becomes(HYP_SETUPINTERFACE, 0, in, IFACE "}",
	    "y, macAddr, ipAddresses.x"));
	CHECK(becomes(HYP_SETUPINTERFACE, F, in, IFACE ",\"macAddr\":\"m\"}",
	    "y, ipAddresses.x"));
	CHECK(becomes(HYP_SETUPINTERFACE, 0, "{\"device\":\"\",\"macAddr\":"
	    "\"m\"}", "{\"macAddr\":\"m\"}", ""));
	CHECK(all(HYP_SETUPINTERFACE, "{\"device\":\"d\",\"ipAddresses\":[],"
	    "\"mtu\":0,\"ipAddress\":\"\",\"netMask\":\"\"}",
	    "{\"device\":\"d\"}", ""));
	CHECK(fails(HYP_SETUPINTERFACE, "{\"ipAddresses\":[{}]}",
	    "setupinterface: address without netMask"));
	CHECK(fails(HYP_SETUPINTERFACE, "{\"ipAddresses\":[7]}",
	    "setupinterface: address without netMask"));
	CHECK(fails(HYP_SETUPINTERFACE, "{\"ipAddresses\":[{\"netMask\":"
	    "\"24\"}]}", "setupinterface: address without ipAddress"));
	CHECK(fails(HYP_SETUPINTERFACE, "{\"ipAddress\":\"1.1.1.1\"}",
	    "setupinterface: address without netMask"));
	CHECK(fails(HYP_SETUPINTERFACE, "{\"netMask\":\"24\"}",
	    "setupinterface: address without ipAddress"));

	test_begin("hypjson: routes");
	CHECK(all(HYP_SETUPROUTE, "{\"x\":1,\"routes\":[{\"device\":\"d\","
	    "\"gateway\":\"g\",\"dest\":\"10.0.0.0/8\",\"src\":\"s\"},{"
	    "\"dest\":\"\"},{\"dest\":null,\"gateway\":\"\"},{}]}",
	    "{\"routes\":[{\"dest\":\"10.0.0.0/8\",\"gateway\":\"g\","
	    "\"device\":\"d\"},{\"dest\":\"default\"},{\"dest\":\"default\"}"
	    ",{\"dest\":\"default\"}]}", "x, routes.src"));
	CHECK(all(HYP_SETUPROUTE, "{}", "{\"routes\":[]}", ""));
	CHECK(all(HYP_SETUPROUTE, "{\"routes\":null}", "{\"routes\":[]}",
	    ""));
	CHECK(all(HYP_SETUPROUTE, "{\"routes\":[5]}", "{\"routes\":[5]}",
	    ""));
	CHECK(all(HYP_SETUPROUTE, "{\"routes\":7}", "{\"routes\":7}", ""));
}

static void
test_kill(void)
{
	static const uint32_t	 codes[] = { HYP_KILLCONTAINER,
	    HYP_REMOVECONTAINER };
	char			 why[64];
	size_t			 i;

	test_begin("hypjson: killcontainer and removecontainer");
	for (i = 0; i < nitems(codes); i++) {
		snprintf(why, sizeof(why), "%s: no container",
		    hyp_name(codes[i]));
		CHECK(fails(codes[i], "{}", why));
		CHECK(fails(codes[i], "{\"signal\":9}", why));
		CHECK(fails(codes[i], "{\"container\":5}", why));
		CHECK(fails(codes[i], "{\"container\":null}", why));
		CHECK(fails(codes[i], "{\"container\":[\"c\"]}", why));
		CHECK(fails(codes[i], "{\"container\":\"c\","
		    "\"container\":5}", why));
		CHECK(same(codes[i], U, " { \"x\" : 1, \"container\" : \"c\", "
		    "\"signal\":15 } "));
		CHECK(same(codes[i], F, "{\"\\u0063ontainer\":\"c\"}"));
		CHECK(same(codes[i], 0, "{\"container\":\"\"}"));
		CHECK(all(codes[i], "{\"Signal\":0,\"CONTAINER\":\"c\"}",
		    "{\"container\":\"c\",\"signal\":0}", ""));
	}
}

static int
winsize(const char *container, const char *process, const char *in,
    const char *want)
{
	char	*out;
	int	 good;

	out = adapt(HYP_WINSIZE, 0, container, process, in);
	good = out != NULL && strcmp(out, want) == 0 && dropped[0] == '\0';
	if (!good)
		fprintf(stderr, "%s:\n\t%s, want %s\n", in,
		    out == NULL ? err : out, want);
	free(out);
	return (good);
}

static void
test_winsize(void)
{
	struct json_slice	 in;
	uint64_t		 seq = 9;
	int			 has = 9;

	test_begin("hypjson: winsize gets names");
	CHECK(winsize("c", "p", "{\"seq\":5,\"row\":40,\"column\":120}",
	    "{\"seq\":5,\"row\":40,\"column\":120,\"container\":\"c\","
	    "\"process\":\"p\"}"));
	CHECK(winsize("c", "p", " { \"seq\" : 18446744073709551615 } ",
	    " { \"seq\" : 18446744073709551615 ,\"container\":\"c\","
	    "\"process\":\"p\"} "));
	CHECK(winsize("c", "p", "{}", "{\"container\":\"c\",\"process\":"
	    "\"p\"}"));
	CHECK(winsize("c", "p", "{ }", "{\"container\":\"c\",\"process\":"
	    "\"p\" }"));
	CHECK(winsize("a\"b", "\\", "{\"a\":\"}\"}", "{\"a\":\"}\","
	    "\"container\":\"a\\\"b\",\"process\":\"\\\\\"}"));
	CHECK(winsize(NULL, "p", "{\"seq\":5}", "{\"seq\":5}"));
	CHECK(winsize("c", NULL, "{\"seq\":5}", "{\"seq\":5}"));
	CHECK(winsize("c", "p", "{\"container\":\"x\",\"process\":\"y\"}",
	    "{\"container\":\"x\",\"process\":\"y\"}"));
	CHECK(winsize("c", "p", "{\"container\":\"x\"}",
	    "{\"container\":\"x\"}"));

	test_begin("hypjson: the sequence number of winsize");
	in = slice("{\"seq\":18446744073709551615,\"row\":1}");
	CHECK(hyp_winsize_seq(in, &seq, &has) == 1 && seq == UINT64_MAX &&
	    has == 0);
	in = slice("{\"seq\":5,\"container\":\"c\",\"process\":\"p\"}");
	CHECK(hyp_winsize_seq(in, &seq, &has) == 1 && seq == 5 && has == 1);
	in = slice("{\"seq\":5,\"container\":\"c\",\"process\":\"\"}");
	CHECK(hyp_winsize_seq(in, &seq, &has) == 1 && has == 0);
	in = slice("{\"seq\":-5}");
	CHECK(hyp_winsize_seq(in, &seq, &has) == 0 && seq == 0);
	in = slice("{\"seq\":18446744073709551616}");
	CHECK(hyp_winsize_seq(in, &seq, &has) == 0 && seq == 0);
	in = slice("{\"seq\":\"5\"}");
	CHECK(hyp_winsize_seq(in, &seq, &has) == 0);
	in = slice("{}");
	CHECK(hyp_winsize_seq(in, &seq, &has) == 0);
	in = slice("");
	CHECK(hyp_winsize_seq(in, &seq, &has) == 0 && has == 0);
	in = slice("{\"seq\"");
	CHECK(hyp_winsize_seq(in, &seq, &has) == 0);
}

static int
named(uint32_t code, const char *in, const char *container,
    const char *process, int has, uint64_t number)
{
	uint64_t	 n = 77;
	char		*c, *p;
	int		 good, h = 77;

	if (hyp_names(code, slice(in), &c, &p, &h, &n) == -1)
		return (0);
	good = h == has && n == number &&
	    (container == NULL ? c == NULL :
	    c != NULL && strcmp(c, container) == 0) &&
	    (process == NULL ? p == NULL :
	    p != NULL && strcmp(p, process) == 0);
	if (!good)
		fprintf(stderr, "%s: %s, %s, %d\n", in, c == NULL ? "-" : c,
		    p == NULL ? "-" : p, h);
	free(c);
	free(p);
	return (good);
}

static void
test_names(void)
{
	test_begin("hypjson: ids and numbers in payloads");
	CHECK(named(HYP_NEWCONTAINER, "{\"id\":\"c\",\"container\":\"x\","
	    "\"process\":{\"id\":\"p\",\"stdio\":3}}", "c", "p", 1, 3));
	CHECK(named(HYP_EXECCMD, "{\"id\":\"x\",\"container\":\"c\","
	    "\"process\":{\"ID\":\"p\",\"stdio\":18446744073709551615}}",
	    "c", "p", 1, UINT64_MAX));
	CHECK(named(HYP_EXECCMD, "{\"container\":\"\\u0041\\n\\ud83d\\ude00"
	    "\",\"process\":{}}", "A\n\xf0\x9f\x98\x80", NULL, 0, 0));
	CHECK(named(HYP_EXECCMD, "{\"container\":\"a\\u0000b\"}", "a", NULL,
	    0, 0));
	CHECK(named(HYP_EXECCMD, "{\"container\":\"\\u0000b\",\"process\":{"
	    "\"id\":\"\\udc00\"}}", NULL, NULL, 0, 0));
	CHECK(named(HYP_EXECCMD, "{\"container\":\"\",\"process\":{\"id\":"
	    "\"\",\"stdio\":-1}}", NULL, NULL, 0, 0));
	CHECK(named(HYP_EXECCMD, "{\"container\":5,\"process\":{\"id\":5,"
	    "\"stdio\":18446744073709551616}}", NULL, NULL, 0, 0));
	CHECK(named(HYP_EXECCMD, "{\"container\":null,\"process\":{\"id\":"
	    "null,\"stdio\":1.0}}", NULL, NULL, 0, 0));
	CHECK(named(HYP_EXECCMD, "{\"process\":\"p\"}", NULL, NULL, 0, 0));
	CHECK(named(HYP_EXECCMD, "{\"container\":\"c", NULL, NULL, 0, 0));
	CHECK(named(HYP_EXECCMD, "{\"container\":\"c\x01\"}", NULL, NULL, 0,
	    0));
	CHECK(named(HYP_EXECCMD, "{\"container\":\"c\\q\"}", NULL, NULL, 0,
	    0));
	CHECK(named(HYP_EXECCMD, "", NULL, NULL, 0, 0));
	CHECK(named(HYP_EXECCMD, "[]", NULL, NULL, 0, 0));
}

static void
test_unchanged(void)
{
	static const uint32_t	 codes[] = { HYP_STARTPOD, HYP_NEWCONTAINER,
	    HYP_EXECCMD, HYP_KILLCONTAINER, HYP_REMOVECONTAINER, HYP_WINSIZE,
	    HYP_SETUPINTERFACE, HYP_SETUPROUTE };
	static const char *const texts[] = { "", " ", "null", "[]", "5",
	    "\"x\"", "{", "}", "{\"id\":\"c\"", "{\"id\"}", "{\"a\":1}x",
	    "{\"process\":{\"args\":[\"a\"]}", "{\"a\":1e999}", "{\"a\":\x01}",
	    "{\"a\":\"\x01\"}", "{\"a\":\"\\q\"}", "{'a':1}", "[{]", "{[}" };
	static const uint32_t	 others[] = { HYP_VERSION, HYP_DESTROYPOD,
	    HYP_PING, HYP_ONLINECPUMEM, HYP_PSCONTAINER, HYP_SIGNALPROCESS,
	    HYP_DELETEINTERFACE, HYP_READFILE, HYP_WRITEFILE, 99 };
	struct json_slice	 none = { NULL, 0 };
	struct hyp_target	 t = { 0, NULL, NULL };
	char			*out;
	size_t			 i, j, len = 9;

	test_begin("hypjson: what is no object goes unchanged");
	for (i = 0; i < nitems(codes); i++) {
		for (j = 0; j < nitems(texts); j++)
			CHECK(all(codes[i], texts[j], texts[j], ""));
		out = hyp_adapt(codes[i], none, &t, &len, dropped, err);
		CHECK(out != NULL && len == 0 && out[0] == '\0');
		free(out);
	}

	test_begin("hypjson: other commands go unchanged");
	for (i = 0; i < nitems(others); i++) {
		CHECK(all(others[i], " {\"psargs\":null, \"x\":1}",
		    " {\"psargs\":null, \"x\":1}", ""));
		CHECK(all(others[i], "", "", ""));
		CHECK(all(others[i], "{\"f\":\"a\"}data", "{\"f\":\"a\"}data",
		    ""));
	}
}

static void
test_spelling(void)
{
	test_begin("hypjson: names in any case, once, the last");
	CHECK(becomes(HYP_NEWCONTAINER, F, "{\"ID\":\"c\",\"ROOTFS\":\"r\","
	    "\"PROCESS\":{\"ARGS\":[\"a\"],\"Stdio\":3,\"\\u0075ser\":\"u\"}"
	    "}", "{\"id\":\"c\",\"rootfs\":\"r\",\"process\":{\"stdio\":3,"
	    "\"args\":[\"a\"],\"user\":\"u\"}}", ""));
	CHECK(becomes(HYP_NEWCONTAINER, F, "{\"id\":\"c\",\"ID\":\"d\","
	    "\"Rootfs\":\"1\",\"ROOTFS\":\"2\",\"image\":\"1\",\"image\":"
	    "\"2\"," P "}", "{\"id\":\"c\",\"rootfs\":\"2\",\"image\":\"2\","
	    P "}", ""));
	/* Where a name ends is not what C thinks. */
	CHECK(becomes(HYP_NEWCONTAINER, F, "{\"id\":\"c\",\"id\\u0000\":"
	    "\"d\",\"\":1,\"process.x\":1," P "}", "{\"id\":\"c\"," P "}",
	    "id\\u0000, ?, process.x"));
	/* Values that look like structure. */
	CHECK(becomes(HYP_NEWCONTAINER, F, "{\"id\":\"{[:,\\\"\",\"rootfs\":"
	    "\"}]{\",\"image\":\":\"," P "}", "{\"id\":\"{[:,\\\"\","
	    "\"rootfs\":\"}]{\",\"image\":\":\"," P "}", ""));
	CHECK(becomes(HYP_EXECCMD, F, " {\t\"container\" :\n\"c\" , "
	    "\"process\" : { \"args\" : [ \"a\" , \"b\" ] } } ",
	    "{\"container\":\"c\",\"process\":{\"args\":[ \"a\" , \"b\" ]}}",
	    ""));
}

static char *
repeat(const char *head, const char *body, size_t n, const char *tail)
{
	size_t	 blen = strlen(body), hlen = strlen(head), i;
	char	*s;

	if ((s = malloc(hlen + n * blen + strlen(tail) + 1)) == NULL)
		abort();
	memcpy(s, head, hlen);
	for (i = 0; i < n; i++)
		memcpy(s + hlen + i * blen, body, blen);
	memcpy(s + hlen + n * blen, tail, strlen(tail) + 1);
	return (s);
}

static void
test_hostile(void)
{
	char	*in, *out, *deep, *want;
	size_t	 i;

	test_begin("hypjson: names left out are printable and cut");
	CHECK(becomes(HYP_NEWCONTAINER, F, "{\"id\":\"c\",\"\x7f\xc3\xa9 ,"
	    "\":1,\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":1,"
	    P "}", "{\"id\":\"c\"," P "}",
	    "?????, aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	in = malloc(4096);
	want = in;
	want += snprintf(want, 64, "{\"id\":\"c\",");
	for (i = 0; i < 100; i++)
		want += snprintf(want, 32, "\"member%zu\":1,", i);
	snprintf(want, 64, P "}");
	out = adapt(HYP_NEWCONTAINER, F, NULL, NULL, in);
	CHECK(out != NULL && strcmp(out, "{\"id\":\"c\"," P "}") == 0);
	CHECK(strlen(dropped) == HYP_DROPPED_MAX - 1);
	CHECK(strncmp(dropped, "member0, member1, ", 18) == 0);
	free(out);
	free(in);

	test_begin("hypjson: deep and large text");
	deep = repeat("{\"id\":\"c\",\"x\":", "{\"a\":", 1000, "0");
	in = repeat(deep, "}", 1000, "," P "}");
	CHECK(becomes(HYP_NEWCONTAINER, F, in, "{\"id\":\"c\"," P "}", ""));
	free(deep);
	free(in);
	deep = repeat("{\"id\":\"c\",\"x\":", "[", 1000, "");
	in = repeat(deep, "]", 1000, "," P "}");
	CHECK(becomes(HYP_NEWCONTAINER, F, in, "{\"id\":\"c\"," P "}", "x"));
	free(deep);
	free(in);
	deep = repeat("{\"id\":\"c\",\"volumes\":", "[", 1000, "");
	in = repeat(deep, "]", 1000, "," P "}");
	CHECK(fails(HYP_NEWCONTAINER, in,
	    "newcontainer: volume without fstype"));
	free(deep);
	free(in);
	in = repeat("{\"container\":\"c\",\"process\":{\"envs\":[{}",
	    ",{\"env\":\"\"}", 30000, "]}}");
	CHECK(becomes(HYP_EXECCMD, F, in, "{\"container\":\"c\",\"process\":{"
	    "}}", ""));
	free(in);
	in = repeat("{\"id\":\"c\"", ",\"x\":1", 60000, "," P "}");
	CHECK(becomes(HYP_NEWCONTAINER, F, in, "{\"id\":\"c\"," P "}", "x"));
	free(in);
	in = repeat("{\"container\":\"", "x", 1000000, "\"," P "}");
	CHECK(same(HYP_EXECCMD, F, in));
	free(in);

	test_begin("hypjson: every beginning of a payload");
	for (i = 0; i < strlen("{\"id\":\"c\",\"volumes\":[{\"fstype\":"
	    "\"x\"}]," P "}"); i++) {
		in = strndup("{\"id\":\"c\",\"volumes\":[{\"fstype\":"
		    "\"x\"}]," P "}", i);
		CHECK(all(HYP_NEWCONTAINER, in, in, ""));
		free(in);
	}
}

static int
event(const char *text, size_t len, const char *container,
    const char *process, int status)
{
	uint8_t	*copy, st = 0;
	char	*c, *p;
	int	 good, rv;

	if ((copy = malloc(len + (len == 0))) == NULL)
		abort();
	memcpy(copy, text, len);
	rv = hyp_event(copy, len, &c, &p, &st);
	free(copy);
	if (container == NULL)
		good = rv == -1 && c == NULL && p == NULL;
	else
		good = rv == 0 && strcmp(c, container) == 0 &&
		    strcmp(p, process) == 0 && st == status;
	if (!good)
		fprintf(stderr, "event %.80s: %d\n", text, rv);
	free(c);
	free(p);
	return (good);
}

static int
no_event(const char *text)
{
	return (event(text, strlen(text), NULL, NULL, 0));
}

static void
test_event(void)
{
#define EV	"\"event\":\"finished\""
#define CP	"\"container\":\"c\",\"process\":\"p\","
	static const char	 good[] = "{\"container\":\"c2\","
	    "\"process\":\"e1\",\"event\":\"finished\",\"status\":3}";
	char			*name, *s;
	size_t			 i;

	test_begin("hypjson: the event of an end");
	CHECK(event(good, strlen(good), "c2", "e1", 3));
	CHECK(event("{" CP EV ",\"status\":255,\"info\":\"x\"}",
	    strlen("{" CP EV ",\"status\":255,\"info\":\"x\"}"), "c", "p",
	    255));
	CHECK(event("{" CP EV ",\"status\":0}", strlen("{" CP EV
	    ",\"status\":0}"), "c", "p", 0));
	name = repeat("", "x", HYP_NAME_MAX, "");
	s = repeat("{\"container\":\"", "x", HYP_NAME_MAX,
	    "\",\"process\":\"p\"," EV ",\"status\":1}");
	CHECK(event(s, strlen(s), name, "p", 1));
	free(name);
	free(s);

	test_begin("hypjson: what is no event of an end");
	CHECK(no_event(""));
	CHECK(no_event("null"));
	CHECK(no_event("[]"));
	CHECK(no_event("{}"));
	CHECK(no_event("{" CP EV ",\"status\":256}"));
	CHECK(no_event("{" CP EV ",\"status\":-1}"));
	CHECK(no_event("{" CP EV ",\"status\":1.0}"));
	CHECK(no_event("{" CP EV ",\"status\":\"1\"}"));
	CHECK(no_event("{" CP EV ",\"status\":18446744073709551617}"));
	CHECK(no_event("{" CP EV "}"));
	CHECK(no_event("{" CP "\"event\":\"started\",\"status\":1}"));
	CHECK(no_event("{" CP "\"event\":\"finished\\u0000\",\"status\":1}"));
	CHECK(no_event("{" CP "\"event\":1,\"status\":1}"));
	CHECK(no_event("{" CP "\"status\":1}"));
	CHECK(no_event("{\"process\":\"p\"," EV ",\"status\":1}"));
	CHECK(no_event("{\"container\":\"c\"," EV ",\"status\":1}"));
	CHECK(no_event("{\"container\":\"\",\"process\":\"p\"," EV
	    ",\"status\":1}"));
	CHECK(no_event("{\"container\":\"a\\u0000\",\"process\":\"p\"," EV
	    ",\"status\":1}"));
	CHECK(no_event("{\"container\":\"c\",\"process\":7," EV
	    ",\"status\":1}"));
	CHECK(no_event("{\"container\":\"a\"b\",\"process\":\"p\"," EV
	    ",\"status\":1}"));
	CHECK(no_event("{" CP EV ",\"status\":1}x"));
	CHECK(event("{" CP EV ",\"status\":1}", strlen("{" CP EV
	    ",\"status\":1}") + 1, NULL, NULL, 0));
	s = repeat("{\"container\":\"", "x", HYP_NAME_MAX + 1,
	    "\",\"process\":\"p\"," EV ",\"status\":1}");
	CHECK(no_event(s));
	free(s);
	s = repeat(good, " ", HYP_EVENT_MAX - strlen(good), "");
	CHECK(event(s, HYP_EVENT_MAX, "c2", "e1", 3));
	free(s);
	s = repeat(good, " ", HYP_EVENT_MAX - strlen(good) + 1, "");
	CHECK(no_event(s));
	free(s);
	s = repeat("", "[", HYP_EVENT_MAX, "");
	CHECK(no_event(s));
	free(s);
	for (i = 0; i < strlen(good); i++)
		CHECK(event(good, i, NULL, NULL, 0));
}

int
main(void)
{
	test_hosts();
	test_newcontainer();
	test_mounts();
	test_process();
	test_startpod();
	test_network();
	test_kill();
	test_winsize();
	test_names();
	test_unchanged();
	test_spelling();
	test_hostile();
	test_event();
	return (test_end());
}
