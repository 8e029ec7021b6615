#!/bin/sh
# muster as a Slurm job array: each task does the tenants that fall to it. Copy it to the home of a user that may submit jobs:
#
#     sbatch slurm.sh                                   now, in four tasks
#     sbatch --array=0-15 slurm.sh                      in sixteen: from 0, and without gaps
#     MUSTER_SHARDS=4 sbatch --array=2 slurm.sh         number 2 of four once more, alone
#     sbatch slurm.sh --job ecs                         with further options of `muster run`
#
# and every five minutes by a line of scrontab, or of that user's crontab:
#
#     */5 * * * * sbatch --quiet $HOME/slurm.sh
#
# `state` has to be where all nodes reach it: on S3. A task whose node fails, or that is preempted, is queued again; what it
# had begun is finished by that or by the next run, and tasks that run twice do no harm. One that ends with 1 has tenants that
# failed: they are in its log, the next run catches up. Credentials of the central account: /etc/muster/env on the nodes
# (AWS_PROFILE=...), or what sbatch takes along of your environment.
#SBATCH --job-name=muster
#SBATCH --array=0-3
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=256M
#SBATCH --requeue
#SBATCH --output=muster-%a.log
#SBATCH --open-mode=append
# Set `run.deadline` below this. It stops within five seconds of the signal.
#SBATCH --time=10
#SBATCH --signal=B:TERM@30
# On a cluster that is full, arrays must not pile up: what has waited too long goes, a later one catches up.
#SBATCH --deadline=now+30minutes
set -eu
if [ -r /etc/muster/env ]; then
	set -a
	# shellcheck disable=SC1091 # not here
	. /etc/muster/env
	set +a
fi
# Slurm says how many tasks an array has, but not of how many a single one is.
exec muster run -c "${MUSTER_CONFIG:-/etc/muster/muster.yaml}" --log-format logfmt \
	${MUSTER_SHARDS:+--shard "$SLURM_ARRAY_TASK_ID/$MUSTER_SHARDS"} "$@"
