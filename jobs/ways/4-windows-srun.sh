#!/usr/bin/env bash
# Way 4, as one job: dense, all ranks take turns at the blocks.    sbatch jobs/ways/4-windows-srun.sh CONFIG
# Edit: partition, nodes, ranks per node, time.
#SBATCH --job-name=windows --partition=cpu --nodes=4 --ntasks-per-node=24 --time=04:00:00
#SBATCH --signal=USR1@120 --requeue --open-mode=append
#SBATCH --output=%x-%j.log
set -u
. jobs/env.sh
srun "${program[@]}" extract "$@" --set extract.sampling=dense
leave $?
