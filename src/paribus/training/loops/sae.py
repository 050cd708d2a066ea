"""The loop that trains a sparse autoencoder on cached vectors."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from paribus import seeds
from paribus.errors import DivergedError
from paribus.models.autoencoders import unit_rows
from paribus.models.nets.sae import SparseAutoencoder
from paribus.models.state import cpu_state
from paribus.training.loops.workspace import RESUME, CheckpointStore, kept_state
from paribus.training.sae import SAEQuality, SAETraining

AT_ONCE = 16_384
"""Vectors that are encoded at once."""
USAGE_MEMORY = 0.99
REVIVED_SCALE = 0.2


@dataclass(frozen=True)
class SAERun:
    """The result of a training.

    Attributes:
        history: Step and quality on held-out vectors, at every evaluation.
        revived: Features revived over the whole training.
        resumed_from: Step from which an interrupted training was resumed.
    """

    history: tuple[tuple[int, SAEQuality], ...]
    revived: int
    resumed_from: int | None


def train_sae(
    sae: SparseAutoencoder,
    train: Tensor,
    held_out: Tensor,
    settings: SAETraining,
    *,
    seed: int,
    identity: str,
    workspace: CheckpointStore,
    observe: Callable[[int, SAEQuality], None] = lambda _, __: None,
    progress: Callable[[range], Iterable[int]] = iter,
) -> SAERun:
    """Train ``sae`` in place.

    The component of the decoder's gradient along each column is removed before the step, and the columns are
    renormalised after it (projection, Bricken et al. 2023). A feature that has not fired for ``dead_after`` steps is
    set to the residual of a badly reconstructed vector.

    Args:
        sae: The autoencoder with its starting weights, on the device to train on.
        train: Vectors ``[n, d]``.
        held_out: Vectors ``[m, d]`` for the evaluations.
        settings: How to train.
        seed: Every draw is derived from it and the step.
        identity: Of model and data; a kept state of another identity is refused.
        workspace: Where the state is kept at each evaluation.
        observe: Is called with every evaluation.
        progress: Wraps the range of evaluations.

    Raises:
        DivergedError: If the loss is not finite.
        CheckpointError: If the kept state belongs to another training.
    """
    loop = _Loop(sae, train, held_out, settings, seed, f"{identity}/{settings}/{seed}", workspace)
    resumed_from = loop.take_up()
    for step, quality in loop.history:
        observe(step, quality)
    bounds = [round(i * settings.steps / settings.n_evaluations) for i in range(settings.n_evaluations + 1)]
    for i in progress(range(len(loop.history), settings.n_evaluations)):
        for step in range(bounds[i], bounds[i + 1]):
            loop.step(step)
        observe(*loop.evaluate(bounds[i + 1]))
    return SAERun(tuple(loop.history), loop.revived, resumed_from)


@torch.no_grad()
def quality(sae: SparseAutoencoder, vectors: Tensor) -> SAEQuality:
    """Return how well ``sae`` reconstructs vectors ``[m, d]``."""
    residual, active = 0.0, 0.0
    fired = torch.zeros(sae.n_features, dtype=torch.bool, device=vectors.device)
    for part in torch.split(vectors, 4096):
        reconstruction, f, _ = sae(part)
        residual += float((part - reconstruction).square().sum())
        active += float((f > 0).sum())
        fired |= (f > 0).any(0)
    total = float((vectors - vectors.mean(0)).square().sum())
    n, width = vectors.shape
    return SAEQuality(
        mse=residual / (n * width),
        explained_variance=1.0 - residual / total if total > 0 else float("nan"),
        l0=active / n,
        active_share=active / n / sae.n_features,
        dead_share=float((~fired).float().mean()),
    )


@torch.no_grad()
def random_baseline(sae: SparseAutoencoder, train: Tensor, generator: torch.Generator) -> SparseAutoencoder:
    """Return an autoencoder with random encoder rows that fire as often, and the best linear decoder for them.

    The decoder is fitted by ridge regression on ``train``, so that the comparison isolates the trained encoder.
    """
    shares = [(float((sae.encode(part)[0] > 0).float().mean()), len(part)) for part in torch.split(train, AT_ONCE)]
    rate = sum(share * n for share, n in shares) / len(train)
    random = SparseAutoencoder(sae.width, sae.n_features, unit_norm=False, top_k=sae.top_k).to(train.device)
    random.encoder.weight.copy_(unit_rows(sae.n_features, sae.width, generator))
    random.encoder.bias.zero_()
    random.decoder_bias.copy_(train.mean(0))
    if sae.top_k is None:
        sample = train[:20_000]
        random.encoder.bias.copy_(-torch.quantile(random.preactivation(sample), 1.0 - rate, dim=0))
    gram, answer = torch.zeros((), device=train.device), torch.zeros((), device=train.device)
    for part in torch.split(train, AT_ONCE):
        active = random.encode(part)[0].double()
        gram, answer = gram + active.T @ active, answer + active.T @ (part - random.decoder_bias).double()
    gram += 1e-3 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    solved = torch.linalg.solve(gram, answer)
    random.decoder.weight.copy_(solved.T.float())
    return random.eval()


class _Loop:
    """The moving parts of one training."""

    def __init__(
        self,
        sae: SparseAutoencoder,
        train: Tensor,
        held_out: Tensor,
        settings: SAETraining,
        seed: int,
        identity: str,
        workspace: CheckpointStore,
    ) -> None:
        self.sae, self.train, self.held_out, self.settings = sae.train(), train, held_out, settings
        self.seed, self.identity, self.workspace = seed, identity, workspace
        with torch.no_grad():
            sae.decoder_bias.copy_(train.mean(0))
            self.variance = float((train - train.mean(0)).square().mean())
        sae.decoder.bias.requires_grad_(False)  # stored by convention, never used
        self.learned = [p for p in sae.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.learned, lr=settings.lr)
        self.silent = torch.zeros(sae.n_features, dtype=torch.long, device=train.device)
        self.history: list[tuple[int, SAEQuality]] = []
        self.revived = 0

    def step(self, step: int) -> None:
        """Take one optimiser step."""
        settings, sae = self.settings, self.sae
        generator = seeds.torch_rng(self.seed, f"step/{step}")
        rows = torch.randint(len(self.train), (settings.batch_size,), generator=generator)
        x = self.train[rows.to(self.train.device)]
        reconstruction, f, _ = sae(x)
        error = (x - reconstruction).square().mean() / max(self.variance, 1e-12)
        loss = error + settings.l1 * f.sum(1).mean()
        if not torch.isfinite(loss):
            raise DivergedError(f"training: the loss became {loss.item()} in step {step}; a lower lr may help")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._project_gradient()
        self.optimizer.step()
        with torch.no_grad():
            sae.decoder.weight.copy_(sae.directions().T)
            fired = (f > 0).any(0)
            self.silent = torch.where(fired, 0, self.silent + 1)
            sae.usage_ema.mul_(USAGE_MEMORY).add_((1 - USAGE_MEMORY) * (f > 0).float().mean(0))
            if (step + 1) % settings.dead_after == 0 and step < settings.revive_until * settings.steps:
                self._revive(generator)

    def _project_gradient(self) -> None:
        """Remove the component of the decoder's gradient along its columns."""
        gradient = self.sae.decoder.weight.grad
        if gradient is not None:
            columns = self.sae.directions().T.detach()
            gradient -= (gradient * columns).sum(0) * columns

    def _revive(self, generator: torch.Generator) -> None:
        """Set dead features to residuals of badly reconstructed vectors."""
        dead = torch.nonzero(self.silent >= self.settings.dead_after).flatten()
        if not len(dead):
            return
        rows = torch.randint(len(self.train), (4096,), generator=generator).to(self.train.device)
        residual = self.train[rows] - self.sae(self.train[rows])[0]
        chance = residual.square().sum(1).cpu()
        chosen = torch.multinomial(chance + 1e-12, len(dead), replacement=len(dead) > len(chance), generator=generator)
        unit = torch.nn.functional.normalize(residual[chosen.to(residual.device)], dim=1)
        alive = self.silent < self.settings.dead_after
        norms = self.sae.encoder.weight[alive].norm(dim=1) if alive.any() else torch.ones(1, device=unit.device)
        self.sae.encoder.weight[dead] = REVIVED_SCALE * norms.mean() * unit
        self.sae.encoder.bias[dead] = 0.0
        self.sae.decoder.weight[:, dead] = unit.T
        for parameter in (self.sae.encoder.weight, self.sae.encoder.bias):
            self._forget(parameter, (dead,))
        self._forget(self.sae.decoder.weight, (slice(None), dead))
        self.silent[dead] = 0
        self.revived += len(dead)

    def _forget(self, parameter: Tensor, where: tuple[Any, ...]) -> None:
        state = self.optimizer.state.get(parameter, {})
        for name in ("exp_avg", "exp_avg_sq"):
            if name in state:
                state[name][where] = 0.0

    def evaluate(self, step: int) -> tuple[int, SAEQuality]:
        """Measure on the held-out vectors and keep the state."""
        entry = (step, quality(self.sae, self.held_out))
        self.history.append(entry)
        self.workspace.save(
            RESUME,
            {
                "identity": self.identity,
                "sae": cpu_state(self.sae),
                "optimizer": copy.deepcopy(self.optimizer.state_dict()),
                "silent": self.silent.cpu().clone(),
                "revived": self.revived,
                "history": [{"step": s, **dataclasses.asdict(q)} for s, q in self.history],
            },
        )
        return entry

    def take_up(self) -> int | None:
        """Resume from a saved state, if there is one; return its step."""
        kept = kept_state(self.workspace, self.identity)
        if kept is None:
            return None
        self.sae.load_state_dict(kept["sae"])
        self.optimizer.load_state_dict(kept["optimizer"])
        self.silent = kept["silent"].to(self.train.device)
        self.revived = int(kept["revived"])
        for entry in kept["history"]:
            values = dict(entry)
            self.history.append((int(values.pop("step")), SAEQuality(**values)))
        return self.history[-1][0]
