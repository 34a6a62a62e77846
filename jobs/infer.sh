#!/usr/bin/env bash
# Layer 3 on GPU nodes: slides and network to heatmaps.    sbatch jobs/infer.sh CONFIG [--set KEY=VALUE ...]
# Edit: partition, nodes, GPUs and ranks per node, time.
#SBATCH --job-name=infer --partition=gpu --nodes=2 --gpus-per-node=4 --ntasks-per-node=4 --time=04:00:00
#SBATCH --signal=USR1@120 --requeue --open-mode=append
#SBATCH --output=%x-%j.log
set -u
. jobs/env.sh
srun "${program[@]}" infer "$@"
leave $?
