"""Users per CPU second in training MiniLM on profiles, beside padding and sentence-transformers' own trainer.

    python benchmarks/training_speed.py                    # on the host, some minutes
    python benchmarks/training_speed.py --device cuda      # share of the bf16 matrix peak, BERT-base at 256 tokens

Synthetic profiles: titles of one to four vocabulary words, 8 to 256 tokens a profile, uniform; each user likes one to
seven items that have titles of their own. All versions see the same users, the same batches in size and the same
pretrained weights, forward, backward and update:

    padded        the model as transformers loads it (dropout .1, also on attention weights, which forbids fused kernels),
                  eager attention, every profile padded to 256 tokens, float32, plain cross-entropy
    no dropout    the same without any dropout, as ours has none
    st, pairs     SentenceTransformerTrainer, MultipleNegativesRankingLoss on (profile, item title), a pair a positive: as
                  many steps as the others take, its pairs a second over the pairs of a user
    st, one pair  the same run, were one positive a user all there is to learn from: less than the others learn from
    ours, fp32    EmbedMe: each user once with all positives, rows packed with a block mask, full softmax over items
    ours, bf16    the same under bf16 autocast

A version is timed from its first step's end to its last one's, in CPU seconds of the process, the versions in turn, several times; the best
counts. `sentence-transformers[train]` is needed for its trainer; without it the other rows are printed.
"""

import argparse
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array

from training.contract import FitContext, Progress
from training.dataset import Catalogue, Dataset, History
from training.embedme.batch import PackedRows, ProfileTokenizer, pack
from training.embedme.bert import load_language_model
from training.embedme.config import EmbedMeConfig
from training.embedme.model import EmbedMe
from training.encoder_files import find_encoder
from training.speed import matmul_peak, transformer_flops

MAX_TOKENS, MIN_TOKENS = 256, 8
N_ITEMS = 5_000
PADDED_BAR, TRAINER_BAR, PEAK_BAR = 4.0, 3.0, 0.4


@dataclass(frozen=True)
class Users:
    """What every version learns from."""

    profiles: list[str]
    titles: list[str]
    liked: csr_array
    """Shape (users, items)."""

    def texts(self, histories: History) -> list[str]:
        """Return the profile of the one source item that each user has: its own."""
        return [self.profiles[item] for item in histories["own"].indices]

    def interests(self, histories: History) -> csr_array:
        """Return the source rows."""
        return histories["own"]

    def dataset(self) -> Dataset:
        """Return a data set in which user number i has liked source item number i."""
        n_users = len(self.profiles)
        ids = np.arange(n_users, dtype=np.uint32)
        own = csr_array((np.ones(n_users, np.float32), (ids, ids)), shape=(n_users, n_users))
        return Dataset(
            user_ids=ids,
            catalogues={
                "own": Catalogue("own", ids, self.profiles),
                "items": Catalogue("items", np.arange(N_ITEMS, dtype=np.uint32), self.titles),
            },
            interactions={"own": own, "items": self.liked},
            target="items",
            profiles=self,
        )


def make_users(n_users: int, tokenizer: ProfileTokenizer, words: Sequence[str]) -> Users:
    """Return users whose profiles' lengths are uniform, in random order."""
    rng = np.random.default_rng(0)
    lengths = rng.permutation(np.linspace(MIN_TOKENS, MAX_TOKENS, n_users).round())

    def title() -> str:
        return " ".join(rng.choice(words, rng.integers(1, 5)))

    profiles = []
    for length in lengths:
        titles = [title()]
        while len(tokenizer.ids([" [SEP] ".join([*titles, "a"])])[0]) < length:
            titles.append(title())
        profiles.append(" [SEP] ".join(titles))
    rows = np.repeat(np.arange(n_users), rng.integers(1, 8, n_users))
    columns = rng.integers(0, N_ITEMS, len(rows))
    liked = csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=(n_users, N_ITEMS))
    liked.sum_duplicates()
    liked.data[:] = 1.0
    return Users(profiles, [title() for _ in range(N_ITEMS)], liked)


@dataclass
class Stopwatch:
    """CPU seconds from the end of the first step to the end of the last."""

    marks: list[float] = field(default_factory=list)

    def mark(self) -> None:
        """Note the end of a step."""
        self.marks.append(time.process_time())

    def users_per_second(self, n_users: int) -> float:
        """Return users per CPU second, of `n_users` in equal steps."""
        n_steps = len(self.marks)
        return n_users * (n_steps - 1) / n_steps / (self.marks[-1] - self.marks[0])


def ours(users: Users, batch_size: int, precision: str, **settings: object) -> float:
    """Fit EmbedMe for an epoch."""
    config = EmbedMeConfig.preset(
        "default",
        epochs=1,
        batch_size=batch_size,
        head_epochs=0,
        n_target_tastes=0,
        source_only_share=1.0,
        **settings,
    )
    watch = Stopwatch()

    def note(progress: Progress) -> None:
        if progress.stage == "fit":
            watch.mark()

    EmbedMe(config).fit(users.dataset(), FitContext(precision=precision, on_progress=note))
    return watch.users_per_second(len(users.profiles))


class Padded(torch.nn.Module):
    """What one writes first: all profiles padded to the longest allowed, the whole matrix of logits."""

    def __init__(self, *, dropout: bool) -> None:
        from transformers import AutoModel  # noqa: PLC0415  (seconds)

        super().__init__()
        loaded = load_language_model("minilm", hidden_dropout=0.0)
        self.tokenizer = ProfileTokenizer(loaded.tokenizer, MAX_TOKENS)
        self.bert = loaded.bert
        if dropout:
            self.bert = AutoModel.from_pretrained(find_encoder("minilm"), dtype=torch.float32)
        self.bert.set_attn_implementation("eager")
        self.bert.train()
        self.head = torch.nn.Linear(loaded.hidden_size, 256)
        self.items = torch.nn.Parameter(torch.randn(N_ITEMS, 256) * 0.05)

    def forward(self, texts: Sequence[str], liked: csr_array) -> torch.Tensor:
        """Return the mean loss of users over their positives."""
        ids = self.tokenizer.ids(texts)
        tokens = torch.zeros((len(ids), MAX_TOKENS), dtype=torch.int64)
        mask = torch.zeros_like(tokens)
        for row, one in enumerate(ids):
            tokens[row, : len(one)] = torch.tensor(one)
            mask[row, : len(one)] = 1
        hidden = self.bert(input_ids=tokens, attention_mask=mask).last_hidden_state
        share = mask[:, :, None].float() / mask.sum(dim=1)[:, None, None]
        logits = self.head((hidden * share).sum(dim=1)) @ self.items.T
        labels = torch.from_numpy(liked.toarray())
        return torch.nn.functional.cross_entropy(logits, labels / labels.sum(dim=1, keepdim=True))


def padded(users: Users, batch_size: int, *, dropout: bool) -> float:
    """Take an epoch of steps with AdamW."""
    module = Padded(dropout=dropout)
    optimizer = torch.optim.AdamW(module.parameters(), lr=2e-5)
    watch = Stopwatch()
    for start in range(0, len(users.profiles), batch_size):
        part = slice(start, start + batch_size)
        optimizer.zero_grad()
        module(users.profiles[part], users.liked[part]).backward()
        optimizer.step()
        watch.mark()
    return watch.users_per_second(len(users.profiles))


def sentence_transformers_trainer(users: Users, batch_size: int) -> float:
    """Run sentence-transformers' trainer as its documentation shows it; return pairs a CPU second."""
    from datasets import Dataset as Pairs  # noqa: PLC0415  (an extra)
    from sentence_transformers import (  # noqa: PLC0415  (seconds)
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import (  # noqa: PLC0415  (seconds)
        MultipleNegativesRankingLoss,
    )
    from transformers import TrainerCallback  # noqa: PLC0415  (seconds)

    owner, item = users.liked.nonzero()
    pairs = Pairs.from_dict(
        {
            "anchor": [users.profiles[one] for one in owner],
            "positive": [users.titles[one] for one in item],
        }
    )
    model = SentenceTransformer(str(find_encoder("minilm")), device="cpu")
    model.max_seq_length = MAX_TOKENS
    watch = Stopwatch()

    class Watch(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
            watch.mark()

    with TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=folder,
            max_steps=len(users.profiles) // batch_size,
            per_device_train_batch_size=batch_size,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        SentenceTransformerTrainer(
            model=model,
            args=arguments,
            train_dataset=pairs,
            loss=MultipleNegativesRankingLoss(model),
            callbacks=[Watch()],
        ).train()
    return watch.users_per_second(len(users.profiles))


def on_the_host(arguments: argparse.Namespace) -> None:
    """Print users per CPU second of every version, and the ratios that have a bar."""
    loaded = load_language_model("minilm", hidden_dropout=0.0)
    vocabulary = sorted(loaded.tokenizer.get_vocab())
    words = [word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 2]
    tokenizer = ProfileTokenizer(loaded.tokenizer, MAX_TOKENS)
    users = make_users(arguments.users, tokenizer, words)
    size = arguments.batch_size
    lengths = [len(ids) for ids in tokenizer.ids(users.profiles)]
    print(
        f"{len(lengths)} users in batches of {size}, {min(lengths)}-{max(lengths)} tokens (mean"
        f" {np.mean(lengths):.0f}), {users.liked.nnz / len(lengths):.1f} positives a user, {N_ITEMS} items,"
        f" {torch.get_num_threads()} threads, best of {arguments.repeats}"
    )
    versions: dict[str, Callable[[], float]] = {
        "padded": lambda: padded(users, size, dropout=True),
        "no dropout": lambda: padded(users, size, dropout=False),
    }
    trainer = "st, one pair"
    if find_spec("datasets") and find_spec("accelerate"):
        versions[trainer] = lambda: sentence_transformers_trainer(users, size)
    else:
        print("without sentence-transformers' trainer: pip install 'sentence-transformers[train]'")
    versions |= {
        "ours, fp32": lambda: ours(users, size, "32-true"),
        "ours, bf16": lambda: ours(users, size, "bf16-mixed"),
    }
    wanted = arguments.only.split("/") if arguments.only else list(versions)
    versions = {name: version for name, version in versions.items() if name in wanted}
    best = dict.fromkeys(versions, 0.0)
    for _ in range(arguments.repeats):
        for name, version in versions.items():
            rate = version()
            print(f"  {name}: {rate:.2f} a CPU second", flush=True)
            best[name] = max(best[name], rate)
    if trainer in best:
        best["st, pairs"] = best[trainer] * len(lengths) / users.liked.nnz
    columns = [
        name for name in ("padded", "no dropout", "st, pairs", "st, one pair") if name in best
    ]
    print(f"\n{'':14}{'users/CPU-s':>12}" + "".join(f"{'x ' + name:>16}" for name in columns))
    for name, rate in best.items():
        ratios = "".join(f"{rate / best[column]:16.2f}" for column in columns)
        print(f"{name:14}{rate:12.2f}{ratios}")
    print()
    fastest = max(best.get("ours, fp32", 0.0), best.get("ours, bf16", 0.0))
    if "padded" in best:
        bar("padded float32", fastest / best["padded"], PADDED_BAR)
    if "st, pairs" in best:
        bar("sentence-transformers' trainer", fastest / best["st, pairs"], TRAINER_BAR)


def bar(name: str, ratio: float, wanted: float) -> None:
    """Print whether a bar is met."""
    verdict = "met" if ratio >= wanted else "NOT met"
    print(f"against {name}: {ratio:.2f}x, the bar is {wanted:g}x: {verdict}")


def full_rows(n_users: int, vocabulary: int, device: torch.device) -> Iterator[PackedRows]:
    """Yield rows of random texts of 256 tokens each, without end."""
    rng = np.random.default_rng(0)
    while True:
        ids = rng.integers(1000, vocabulary, (n_users, MAX_TOKENS)).tolist()
        rows = pack(ids, MAX_TOKENS)
        yield PackedRows(*(one.to(device) for one in rows))


def on_a_gpu(arguments: argparse.Namespace) -> None:
    """Print the share of the bf16 matrix peak that BERT-base at 256 tokens reaches, random weights."""
    from transformers import BertConfig, BertModel  # noqa: PLC0415  (seconds)

    from training.embedme.encoder import ProfileEncoder  # noqa: PLC0415  (beside it)

    device = torch.device(arguments.device)
    config = BertConfig(
        attention_probs_dropout_prob=0.0, hidden_dropout_prob=0.0, attn_implementation="sdpa"
    )
    bert = BertModel(config, add_pooling_layer=False)
    module = ProfileEncoder(bert, config.hidden_size, 256, 0.0).to(device).train()
    n_weights = sum(one.numel() for one in bert.encoder.parameters() if one.dim() == 2)
    n_users, layers = arguments.batch_size, config.num_hidden_layers
    flops = transformer_flops(n_weights, layers, config.hidden_size, [MAX_TOKENS] * n_users)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-5, fused=True)
    seconds = []
    batches = full_rows(n_users, config.vocab_size, device)
    for _, rows in zip(range(arguments.repeats + 3), batches, strict=False):
        torch.cuda.synchronize(device)
        started = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16):
            loss = module(rows, n_users).square().mean()
        loss.backward()
        optimizer.step()
        torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    step = float(np.median(seconds[3:]))
    peak = matmul_peak(device, torch.bfloat16)
    print(
        f"{torch.cuda.get_device_name(device)}, BERT-base, {n_users} texts of {MAX_TOKENS} tokens"
    )
    print(f"a step: {flops / 1e12:.2f} TFLOP in {step * 1e3:.1f} ms, {n_users / step:.0f} users/s")
    print(f"bf16 matrix peak, measured: {peak / 1e12:.0f} TFLOP/s")
    bar("the peak (share of it)", flops / step / peak, PEAK_BAR)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--users", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=None, help="32; 256 on a GPU")
    parser.add_argument("--repeats", type=int, default=None, help="2; 20 steps on a GPU")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--only", help="versions, such as 'padded/ours, bf16'")
    arguments = parser.parse_args()
    on_host = arguments.device == "cpu"
    arguments.batch_size = arguments.batch_size or (32 if on_host else 256)
    arguments.repeats = arguments.repeats or (2 if on_host else 20)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers.utils import logging as transformers_logging  # noqa: PLC0415  (seconds)

    transformers_logging.disable_progress_bar()
    (on_the_host if on_host else on_a_gpu)(arguments)


if __name__ == "__main__":
    main()
