#!/usr/bin/env bash
# Way 3 of the paper, as a job array: a task per slide and seed; task 0 has slide 1 with the first seed.
#   job=$(sbatch --parsable jobs/ways/3-slides-seeds-array.sh CONFIG)
#   for s in $(seq 0 9); do sbatch --dependency=afterok:$job jobs/merge.sh CONFIG --set seed=$s --set work=runs/seeds/$s \
#     --set extract.sampling=random; done
# leaves a file per seed; two seeds may draw the same patch. 3-slides-seeds-srun.sh replaces it.
# Edit: slides=, seeds= and --array (0 to slides x seeds - 1), partition, time.
#SBATCH --job-name=slides-seeds --array=0-499 --partition=cpu --ntasks=1 --time=01:00:00
#SBATCH --signal=USR1@120 --requeue --open-mode=append
#SBATCH --output=%x-%A-%a.log
slides=50 seeds=10
set -u
. jobs/env.sh
srun "${program[@]}" extract "$@" --set seed="$((SLURM_ARRAY_TASK_ID % seeds))" --set work="runs/seeds/$((SLURM_ARRAY_TASK_ID % seeds))" \
  --set extract.sampling=random --set extract.shard="$((SLURM_ARRAY_TASK_ID / seeds + 1))/$slides"
leave $?
