"""Two processes on gloo end where one does: the loop, its snapshots, and the softmax over a sharded table."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from training.contract import FitContext
from training.errors import ConfigError
from training.ranks import make_fabric
from training.sharded_softmax import Shard

SCRIPT = Path(__file__).with_name("two_ranks.py")
ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def launch(folder: Path, bert: Path, rank: int, n_ranks: int, port: int) -> subprocess.Popen:
    """Start a process as `torchrun` does; with one rank, as anybody does."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    if n_ranks > 1:
        environment |= {
            "TORCHELASTIC_RUN_ID": "test",
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "GROUP_RANK": "0",
            "WORLD_SIZE": str(n_ranks),
            "LOCAL_WORLD_SIZE": str(n_ranks),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
    command = [sys.executable, str(SCRIPT), str(folder), str(bert)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture(scope="module")
def reached(tmp_path_factory, tiny_bert):
    """Return what each of two ranks, and a process alone, wrote: (folder of two, folder of one)."""
    two, one = tmp_path_factory.mktemp("two"), tmp_path_factory.mktemp("one")
    port = free_port()
    ranks = [(two, 0, 2), (two, 1, 2), (one, 0, 1)]
    running = [launch(folder, tiny_bert, rank, n, port) for folder, rank, n in ranks]
    for process in running:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
    return two, one


def results(reached, name):
    two, one = reached
    pair = [load_file(two / f"{name}-{rank}.safetensors") for rank in range(2)]
    return pair, load_file(one / f"{name}-0.safetensors")


def test_two_ranks_reach_the_weights_of_one_however_uneven_their_parts(reached):
    pair, alone = results(reached, "fit_lines")
    for found in pair:
        for name, value in alone.items():
            if not name.endswith(("wrote", "n_validated")):
                torch.testing.assert_close(found[name], value, rtol=1e-10, atol=1e-12, msg=name)
    assert not torch.equal(alone["dealt/weights"], torch.full((3,), 0.1, dtype=torch.float64))
    assert not torch.allclose(alone["dealt/weights"], alone["clipped/weights"])


def test_models_of_the_registry_reach_on_two_ranks_what_they_reach_alone(reached):
    pair, alone = results(reached, "fit_models")
    assert {name.partition("/")[0] for name in alone} == {"bpr_mf", "ddtcdr", "embedme"}
    for found in pair:
        for name, value in alone.items():
            torch.testing.assert_close(found[name], value, rtol=1e-5, atol=2e-6, msg=name)


def test_only_the_first_rank_validates_and_writes(reached):
    pair, _ = results(reached, "fit_lines")
    assert [int(found["dealt/n_validated"]) for found in pair] == [4, 0]
    assert [bool(found["dealt/wrote"]) for found in pair] == [True, False]


def test_ranks_killed_within_an_epoch_go_on_to_the_same_weights(reached):
    pair, alone = results(reached, "interrupted")
    for found in (*pair, alone):
        assert torch.equal(found["whole"], found["again"])
    assert torch.equal(pair[0]["whole"], pair[1]["whole"])
    assert not torch.equal(pair[0]["whole"], alone["whole"])  # ranks draw other dropout


def test_all_ranks_stop_at_a_loss_that_is_none(reached):
    pair, alone = results(reached, "spoilt")
    assert [int(found["stopped"]) for found in (*pair, alone)] == [1, 1, 1]


def test_ranks_take_turns(reached):
    pair, _ = results(reached, "turns")
    assert [int(found["held"]) for found in pair] == [1, 1]


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_sharded_table_has_the_loss_and_gradients_of_a_whole_one(reached, step):
    pair, alone = results(reached, "sharded")
    exact = {"rtol": 1e-11, "atol": 1e-13}
    users = alone[f"users{step}"]
    for rank, found in enumerate(pair):
        torch.testing.assert_close(found[f"loss{step}"], alone[f"loss{step}"], **exact)
        torch.testing.assert_close(found[f"map{step}"], alone[f"map{step}"], **exact)
        if len(users[rank::2]):
            torch.testing.assert_close(found[f"users{step}"], users[rank::2], **exact)
    for name in ("rows", "bias"):
        joined = torch.cat([found[f"{name}{step}"] for found in pair])
        torch.testing.assert_close(joined, alone[f"{name}{step}"], **exact)


def test_steps_over_a_sharded_table_end_where_those_over_a_whole_one_do(reached):
    pair, alone = results(reached, "sharded")
    for found in pair:
        for name in ("rows", "bias", "map"):
            torch.testing.assert_close(found[name], alone[name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 7])
def test_shards_cover_a_table_once(n_ranks):
    shards = [Shard.of_rank(5, rank, n_ranks) for rank in range(n_ranks)]
    covered = [row for one in shards for row in range(one.start, one.stop)]
    assert covered == list(range(5))
    assert (
        max(one.stop - one.start for one in shards) - min(one.stop - one.start for one in shards)
        <= 1
    )


def test_one_named_device_for_several_processes_is_refused(monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"'cuda:1' under torchrun.*use 'cuda'"):
        make_fabric(FitContext(device="cuda:1"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="2 processes: torch sees 1 GPUs"):
        make_fabric(FitContext(device="cuda"))
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ConfigError, match="3 processes on nodes of 2"):
        make_fabric(FitContext())
