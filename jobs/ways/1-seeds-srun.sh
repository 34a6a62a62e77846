#!/usr/bin/env bash
# Way 1, as one job: ten times the patches from one seed, no patch twice, in one file.    sbatch jobs/ways/1-seeds-srun.sh CONFIG
# Edit: extract.per_class (seeds x patches per seed), partition, nodes, ranks per node, time.
#SBATCH --job-name=seeds --partition=cpu --nodes=4 --ntasks-per-node=24 --time=01:00:00
#SBATCH --signal=USR1@120 --requeue --open-mode=append
#SBATCH --output=%x-%j.log
set -u
. jobs/env.sh
srun "${program[@]}" extract "$@" --set extract.per_class=5000
leave $?
