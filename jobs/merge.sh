#!/usr/bin/env bash
# Shares of an extraction, made by a job array, to one patches.h5.    sbatch --dependency=afterok:ARRAY jobs/merge.sh CONFIG
# Edit: partition, nodes, ranks, time. It copies at the speed of the file system: few ranks do.
#SBATCH --job-name=merge --partition=cpu --nodes=1 --ntasks-per-node=8 --time=02:00:00
#SBATCH --signal=USR1@120 --requeue --open-mode=append
#SBATCH --output=%x-%j.log
set -u
. jobs/env.sh
srun "${program[@]}" merge "$@"
leave $?
