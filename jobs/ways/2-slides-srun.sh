#!/usr/bin/env bash
# Way 2, as one job: all slides, on all ranks, straight into one file.    sbatch jobs/ways/2-slides-srun.sh CONFIG
# Edit: partition, nodes, ranks per node, time.
#SBATCH --job-name=slides --partition=cpu --nodes=4 --ntasks-per-node=24 --time=01:00:00
#SBATCH --signal=USR1@120 --requeue --open-mode=append
#SBATCH --output=%x-%j.log
set -u
. jobs/env.sh
srun "${program[@]}" extract "$@" --set extract.sampling=random
leave $?
