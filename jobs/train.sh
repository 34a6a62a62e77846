#!/usr/bin/env bash
# Layer 2 on GPU nodes: patches to a network.    sbatch jobs/train.sh CONFIG [--set KEY=VALUE ...]
# Edit: partition, nodes, GPUs and ranks per node (a rank per GPU), time. Stopped by USR1 two minutes before the time is over, it is queued again
# and goes on.
#SBATCH --job-name=train --partition=gpu --nodes=2 --gpus-per-node=4 --ntasks-per-node=4 --time=08:00:00
#SBATCH --signal=USR1@120 --requeue --open-mode=append
#SBATCH --output=%x-%j.log
set -u
. jobs/env.sh
srun "${program[@]}" train "$@"
leave $?
