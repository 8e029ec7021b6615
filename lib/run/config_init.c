/*
 * What `muster init` writes: a configuration that loads as it is, with the keys most people need
 * and a word about each. Everything on this machine's disk, so that the first run needs no bucket.
 */
#include "run/config.h"

static const char text[] =
    "# muster: CloudWatch metrics of many accounts, pulled from here.\n"
    "# Every key there is: muster help config\n"
    "\n"
    "# The central region: where roles are assumed, and where tenants are unless they say so.\n"
    "region: ${AWS_REGION:-eu-west-1}\n"
    "\n"
    "# Checkpoints and reports. Keep this folder: it is how a run knows where the last one "
    "stopped.\n"
    "state: file:///var/lib/muster/state\n"
    "\n"
    "# For every tenant. The role is a name in the tenant's account; its trust policy should ask "
    "for\n"
    "# the external id (`none` if it does not). {id} and {account} are filled in. These are what\n"
    "# schedules/tenant-role.yaml makes, a template for CloudFormation.\n"
    "defaults:\n"
    "  role: muster-reader\n"
    "  external_id: muster-{account}\n"
    "\n"
    "tenants:\n"
    "  - id: acme # becomes the label `tenant` and a part of paths\n"
    "    account: \"111122223333\"\n"
    "    # regions: [eu-west-1, us-east-1]\n"
    "    # labels: {tier: gold}\n"
    "\n"
    "# What is fetched, and where it goes.\n"
    "jobs:\n"
    "  ecs:\n"
    "    kind: metrics\n"
    "    # every: 5m # how much is written at once\n"
    "    # delay: 5m # how long CloudWatch is given to settle\n"
    "    from:\n"
    "      - namespace: ECS/ContainerInsights # the eight metrics of ECS tasks\n"
    "      # - namespace: AWS/ECS\n"
    "      #   metrics: [CPUUtilization, MemoryUtilization]\n"
    "      #   statistics: [Average, Maximum]\n"
    "    to: [lake]\n"
    "\n"
    "sinks:\n"
    "  # NDJSON, zstd-compressed, one object for each tenant, region and five minutes.\n"
    "  lake:\n"
    "    kind: objects\n"
    "    url: file:///var/lib/muster/lake\n"
    "  # Prometheus remote write; add its name to `to` above.\n"
    "  # amp:\n"
    "  #   kind: remote_write\n"
    "  #   url: "
    "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write\n"
    "  #   sigv4: {service: aps}\n"
    "\n"
    "run:\n"
    "  # Stop cleanly before the next run begins; what is left is the next one's.\n"
    "  deadline: 4m\n";

const char *
config_init_text(void)
{
	return text;
}
