"""Faults 11 and 51 at random moments: a few seeded kills of every stage; benchmarks/kills.py does hundreds."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = Path(__file__).parents[2] / "benchmarks" / "kills.py"
STAGES = ("aliases build", "link", "profiles build", "profiles update", "train", "bundle")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the harness forks")
def test_fault_11_fault_51_killed_stages_leave_whole_artefacts_and_end_alike_when_rerun(
    project, tmp_path
):
    folder = tmp_path / "project"
    shutil.copytree(project.folder, folder)
    done = subprocess.run(
        [
            *(sys.executable, KILLS, "--kills", str(len(STAGES)), "--seed", "1"),
            *("--project", folder, *project.quick),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = re.findall(r"^([a-z ]+): 1 kills, nothing lost", done.stdout, re.MULTILINE)
    assert tuple(told) == STAGES
    assert done.stdout.endswith(f"\n{len(STAGES)} kills, 0 artefacts lost\n")
