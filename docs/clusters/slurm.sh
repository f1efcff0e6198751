#!/bin/bash
# The study on the nodes of a SLURM job (docs/clusters.md): sbatch docs/clusters/slurm.sh
# Words after the script's name are run in place of `dvc repro`.
#SBATCH --job-name=study
#SBATCH --nodes=2
#SBATCH --gpus-per-node=8
#SBATCH --time=24:00:00
#SBATCH --exclusive             # whole nodes: all cores, and nobody else's Ray
#SBATCH --mem=0                 # all memory
#SBATCH --ntasks-per-node=1     # one Ray a node, which starts the workers there
#SBATCH --no-kill               # a lost node costs the batches that it was at, not the job
#SBATCH --requeue               # preempted, or the first node lost: starts again, and resumes
#SBATCH --signal=B:USR1@300     # five minutes before the time is up: stops, and starts again
#SBATCH --open-mode=append      # in the same log
#SBATCH --output=slurm-%j.log
set -euo pipefail
cd "$SLURM_SUBMIT_DIR"
source .venv/bin/activate
(($#)) || set -- dvc repro

# Only who has the token, which is in ~/.ray, may run code on this Ray: ports are open to others.
export RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(ray get-auth-token --generate)

# Ray's head is on the first node, where this script runs.
nodes=$SLURM_JOB_NUM_NODES
srun --nodes="$nodes" --ntasks="$nodes" ray stop --force  # what a killed job may have left
address=$(python -c "import ray; print(ray.util.get_node_ip_address())"):6379
trap 'ray stop --force' EXIT
ray start --head --node-ip-address="${address%:*}" --port="${address#*:}"
export RAY_ADDRESS=$address     # what `address: auto` means
others=$((nodes - 1))
if ((others)); then
    srun --relative=1 --nodes=$others --ntasks=$others --cpu-bind=none --no-kill \
        ray start --address="$address" --block &
fi
python - "$nodes" <<'END'
import sys, time, ray
ray.init(log_to_driver=False)
nodes, deadline = int(sys.argv[1]), time.monotonic() + 300
while (there := sum(node["Alive"] for node in ray.nodes())) < nodes:
    if time.monotonic() > deadline:
        sys.exit(f"error: after five minutes {there} of {nodes} nodes are there: see above")
    time.sleep(0.5)
print(f"{nodes} nodes: {ray.cluster_resources()}", flush=True)
END

start_again() {
    echo "The time is nearly up. What has been computed is kept; the job starts again."
    kill -INT -- "-$study"
    wait "$study" || true
    ray stop --force
    scontrol requeue "$SLURM_JOB_ID"
}
set -m                          # a process group of its own, so that the stage is stopped as well
"$@" &
study=$!
trap start_again USR1
wait "$study"
