#!/usr/bin/env bash
# Layer 1 on CPU nodes: slides to patches.h5.    sbatch jobs/extract.sh CONFIG [--set KEY=VALUE ...]
# Edit: partition, nodes, ranks per node (a core each), time. Stopped by USR1 two minutes before the time is over, it is queued again and goes on.
#SBATCH --job-name=extract --partition=cpu --nodes=4 --ntasks-per-node=24 --time=04:00:00
#SBATCH --signal=USR1@120 --requeue --open-mode=append
#SBATCH --output=%x-%j.log
set -u
. jobs/env.sh
srun "${program[@]}" extract "$@"
leave $?
