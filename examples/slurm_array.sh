#!/bin/bash
# Segments a folder of cases as a job array of Slurm. All tasks write into one folder.
#
#   sbatch --array=1-50 slurm_array.sh CASES OUTPUT
#   sbatch --array=3,17 slurm_array.sh CASES OUTPUT 50    # two of 50 tasks once more
#
# What a killed or requeued task has finished is not done again.
#SBATCH --job-name=brain-tumors
#SBATCH --cpus-per-task=2
#SBATCH --mem=4G
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --output=%x-%A_%a.log
set -euo pipefail
cases=${1:?the folder of the cases}
output=${2:?the folder for the results}
shares=${3:-${SLURM_ARRAY_TASK_COUNT:?start this with sbatch --array=1-N}}

exec scripted-models segment "$cases" --output "$output" --continue \
  --shard "$SLURM_ARRAY_TASK_ID/$shares" --threads "${SLURM_CPUS_PER_TASK:-1}"
