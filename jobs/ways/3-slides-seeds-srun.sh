#!/usr/bin/env bash
# Way 3, as one job: every slide, as many patches as all seeds together, no patch twice.    sbatch jobs/ways/3-slides-seeds-srun.sh CONFIG
# Edit: extract.per_class (seeds x patches per seed), partition, nodes, ranks per node, time.
#SBATCH --job-name=slides-seeds --partition=cpu --nodes=4 --ntasks-per-node=24 --time=01:00:00
#SBATCH --signal=USR1@120 --requeue --open-mode=append
#SBATCH --output=%x-%j.log
set -u
. jobs/env.sh
srun "${program[@]}" extract "$@" --set extract.sampling=random --set extract.per_class=5000
leave $?
