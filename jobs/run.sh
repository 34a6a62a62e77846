#!/usr/bin/env bash
# Every stage in one job: does what is not done yet.    sbatch jobs/run.sh CONFIG [--set KEY=VALUE ...]
# Edit: partition, nodes, GPUs and ranks per node, time. Where extraction takes long, pipeline.sh holds no GPUs meanwhile.
#SBATCH --job-name=mpicamnet --partition=gpu --nodes=2 --gpus-per-node=4 --ntasks-per-node=16 --time=08:00:00
#SBATCH --signal=USR1@120 --requeue --open-mode=append
#SBATCH --output=%x-%j.log
set -u
. jobs/env.sh
srun "${program[@]}" run "$@"
leave $?
