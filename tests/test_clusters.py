"""docs/clusters: a SLURM job runs over two nodes; the other files are what their readers take."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import slurm_cluster
from conftest import ROOT
from ruamel.yaml import YAML

RECIPES = ROOT / "docs/clusters"
HAS_RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: '.[ray]'")
STUDY = """
import os, pathlib, sys, time
import ray

ray.init(log_to_driver=False)

@ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
class Worker:
    def node(self):
        return os.uname().nodename

def hosts():
    return [node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]]

workers = [Worker.remote() for _ in range(2)]
print("workers on", *sorted(ray.get([worker.node.remote() for worker in workers])), flush=True)
if "SLURM_RESTART_COUNT" not in os.environ:
    pathlib.Path("both").touch()
    while len(hosts()) > 1:
        time.sleep(0.1)
    print("goes on with", *hosts(), flush=True)
    pathlib.Path("one").touch()
    try:
        time.sleep(100)
    except KeyboardInterrupt:
        sys.exit("stopped, as by Ctrl-C")
"""
"""In place of `dvc repro`: loses a node, and is stopped; then it is run again."""


@needs_ray
@pytest.mark.skipif(bool(slurm_cluster.MISSING), reason=f"without {slurm_cluster.MISSING}")
@pytest.mark.skipif(not slurm_cluster.IS_ROOT, reason="only root may start nodes")
def test_a_slurm_job_outlives_its_time_limit_and_a_lost_node(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_health_check_period_ms", "500")  # a lost node is noticed sooner
    monkeypatch.setenv("RAY_health_check_failure_threshold", "2")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/activate").write_text(f"PATH={Path(sys.executable).parent}:$PATH\n")
    (tmp_path / "study.py").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    with slurm_cluster.slurm_cluster() as slurm:
        script = str(RECIPES / "slurm.sh")
        (job,) = re.findall(r"\d+", slurm.run("sbatch", script, "python", "study.py"))
        log = tmp_path / f"slurm-{job}.log"

        slurm.wait_for((tmp_path / "both").exists, log)
        slurm.lose("n2")
        slurm.wait_for((tmp_path / "one").exists, log)
        slurm.run("scancel", "--batch", "--signal=USR1", job)  # what --signal does, in time
        slurm.wait_for(lambda: slurm.state(job) == "PENDING", log)
        # Nodes refuse to start a job again in the second in which they were told to stop it.
        one_node = ("NumNodes=1", "NumTasks=1", "NumCPUs=1", "StartTime=now+3seconds")
        slurm.run("scontrol", "update", f"JobId={job}", *one_node)
        slurm.wait_for(lambda: slurm.state(job) == "COMPLETED", log)
    wanted = ("workers on", "goes on", "stopped", "1 nodes:", "2 nodes:")
    assert [
        line.partition(" {")[0] for line in log.read_text().splitlines() if line.startswith(wanted)
    ] == [
        "2 nodes:",
        "workers on n1 n2",
        "goes on with n1",
        "stopped, as by Ctrl-C",
        "1 nodes:",
        "workers on n1 n1",
    ]


def documents(name: str) -> list[Any]:
    return list(YAML(typ="safe").load_all(RECIPES / name))


POD_TEMPLATE = {"type": "object", "required": ["spec"]}
START_PARAMETERS = {"type": "object", "additionalProperties": {"type": "string"}}


def takes(required: dict[str, Any], optional: dict[str, Any]) -> dict[str, Any]:
    """The JSON schema of an object with these keys and no others."""
    return {
        "type": "object",
        "properties": required | optional,
        "required": [*required],
        "additionalProperties": False,
    }


# After ray-operator/apis/ray/v1/rayjob_types.go and raycluster_types.go of KubeRay: the keys used.
COUNT = {"type": "integer", "minimum": 0}
TEXT = {"type": "string"}
HEAD = takes({"template": POD_TEMPLATE, "rayStartParams": START_PARAMETERS}, {})
WORKERS = takes(
    {
        "groupName": TEXT,
        "minReplicas": COUNT,
        "maxReplicas": COUNT,
        "rayStartParams": START_PARAMETERS,
        "template": POD_TEMPLATE,
    },
    {"replicas": COUNT},
)
RAY_CLUSTER = takes(
    {"headGroupSpec": HEAD},
    {
        "rayVersion": TEXT,
        "enableInTreeAutoscaling": {"type": "boolean"},
        "autoscalerOptions": takes({}, {"idleTimeoutSeconds": COUNT}),
        "workerGroupSpecs": {"type": "array", "items": WORKERS},
    },
)
RAY_JOB = takes(
    {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayJob"},
        "metadata": takes({"name": TEXT}, {}),
        "spec": takes(
            {"entrypoint": TEXT, "rayClusterSpec": RAY_CLUSTER},
            {
                "backoffLimit": COUNT,
                "shutdownAfterJobFinishes": {"type": "boolean"},
                "ttlSecondsAfterFinished": COUNT,
            },
        ),
    },
    {},
)


def test_the_kubernetes_file_has_what_kuberay_takes():
    jsonschema = pytest.importorskip("jsonschema")
    claim, job = documents("kubernetes.yaml")
    jsonschema.validate(job, RAY_JOB)
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    cluster = job["spec"]["rayClusterSpec"]
    head, (workers,) = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    for group in (head, workers):
        pod = group["template"]["spec"]
        (volume,) = pod["volumes"]
        assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            assert container["image"].startswith(f"rayproject/ray:{cluster['rayVersion']}-")
            (mount,) = container["volumeMounts"]
            assert mount == {"name": volume["name"], "mountPath": "/shared"}
    assert "spot" in str(workers["template"]["spec"]["nodeSelector"])
    assert "nodeSelector" not in head["template"]["spec"]


@needs_ray
def test_the_cloud_file_is_valid_by_rays_schema():
    jsonschema = pytest.importorskip("jsonschema")
    ray = importlib.util.find_spec("ray")
    assert ray and ray.origin
    schema = json.loads((Path(ray.origin).parent / "autoscaler/ray-schema.json").read_text())
    (cluster,) = documents("cloud.yaml")
    jsonschema.validate(cluster, schema)
    nodes = cluster["available_node_types"]
    assert nodes["spot"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert "InstanceMarketOptions" not in nodes[cluster["head_node_type"]]["node_config"]
    assert cluster["provider"]["cache_stopped_nodes"] is False


def test_shell_scripts_and_commands_parse():
    bash = shutil.which("bash")
    assert bash
    (cluster,) = documents("cloud.yaml")
    _, job = documents("kubernetes.yaml")
    (install,) = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"][
        "initContainers"
    ]
    commands = [
        command for key, lines in cluster.items() if key.endswith("commands") for command in lines
    ]
    for text in (*commands, install["command"][-1], (RECIPES / "slurm.sh").read_text()):
        done = subprocess.run([bash, "-n"], input=text, text=True, check=False)
        assert done.returncode == 0, text


def test_every_recipe_installs_the_ray_of_this_project():
    extra = re.search(r'"ray(?:\[\w+\])?==([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert extra
    _, job = documents("kubernetes.yaml")
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == extra[1]
