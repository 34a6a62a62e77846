#!/usr/bin/env bash
# Layer 3 on one CPU node: how good the heatmaps are.    sbatch jobs/evaluate.sh CONFIG [--set KEY=VALUE ...]
# Edit: partition, ranks, time.
#SBATCH --job-name=evaluate --partition=cpu --nodes=1 --ntasks-per-node=8 --time=01:00:00
#SBATCH --signal=USR1@120 --requeue --open-mode=append
#SBATCH --output=%x-%j.log
set -u
. jobs/env.sh
srun "${program[@]}" evaluate "$@"
leave $?
