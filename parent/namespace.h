/* SPDX-License-Identifier: ISC */

/*
 * The namespaces that all processes share.
 */

#ifndef CCP_NAMESPACE_H
#define CCP_NAMESPACE_H

/*
 * Move to empty network, IPC and UTS namespaces, or see to it that a service
 * manager that forbids this has done it.  A failure is fatal.
 */
void	 namespace_enter(void);

/*
 * What is looked at, for the tests.  net: whether this text of
 * /proc/self/net/dev tells of no interface but lo.  initial: whether what a
 * link in /proc/self/ns says is the namespace of the host.
 */
int	 namespace_net_empty(const char *text);
int	 namespace_initial(const char *link);

#endif /* CCP_NAMESPACE_H */
