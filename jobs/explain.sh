#!/usr/bin/env bash
# Layer 3 on GPU nodes: what the network looks at.    sbatch jobs/explain.sh CONFIG [--set KEY=VALUE ...]
# Edit: partition, nodes, GPUs and ranks per node, time.
#SBATCH --job-name=explain --partition=gpu --nodes=1 --gpus-per-node=4 --ntasks-per-node=4 --time=02:00:00
#SBATCH --signal=USR1@120 --requeue --open-mode=append
#SBATCH --output=%x-%j.log
set -u
. jobs/env.sh
srun "${program[@]}" explain "$@"
leave $?
