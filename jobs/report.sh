#!/usr/bin/env bash
# One page of all, on one CPU.    sbatch jobs/report.sh CONFIG [--set KEY=VALUE ...]
# Edit: partition, time.
#SBATCH --job-name=report --partition=cpu --nodes=1 --ntasks-per-node=1 --time=00:30:00
#SBATCH --signal=USR1@120 --requeue --open-mode=append
#SBATCH --output=%x-%j.log
set -u
. jobs/env.sh
srun "${program[@]}" report "$@"
leave $?
