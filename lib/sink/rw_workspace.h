/*
 * What a workspace of Amazon Managed Service for Prometheus says about itself; for the remote_write sink only.
 */
#ifndef MUSTER_SINK_RW_WORKSPACE_H
#define MUSTER_SINK_RW_WORKSPACE_H

#include "aws/cred.h"
#include "net/transport.h"

#define RW_WORKSPACE_MAX 64

/* The workspace in an address (https://aps-workspaces.REGION.amazonaws.com/workspaces/ID/api/v1/remote_write). */
bool rw_workspace_of(const char *url, char id[RW_WORKSPACE_MAX]);
/* How far behind the newest sample it takes others, as DescribeWorkspaceConfiguration (API 2020-08-01) tells. */
int rw_workspace_order(struct transport *t, struct cred_source *creds, const char *region, const char *id, int64_t *ret_ms,
		       struct err *err);

#endif
