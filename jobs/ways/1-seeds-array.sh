#!/usr/bin/env bash
# Way 1 of the paper, as a job array: random patches, one seed per task.    sbatch jobs/ways/1-seeds-array.sh CONFIG
# Each task leaves a file of its own, with the patches that its seed draws; two tasks may draw the same patch, so nothing merges them.
# 1-seeds-srun.sh replaces it. Edit: --array (the seeds), partition, time.
#SBATCH --job-name=seeds --array=1-10 --partition=cpu --ntasks=1 --time=01:00:00
#SBATCH --signal=USR1@120 --requeue --open-mode=append
#SBATCH --output=%x-%A-%a.log
set -u
. jobs/env.sh
srun "${program[@]}" extract "$@" --set seed="$SLURM_ARRAY_TASK_ID" --set work="runs/seeds/$SLURM_ARRAY_TASK_ID"
leave $?
