"""What patches of a language model cost: 200 single heads at the last position, in four ways.

    OMP_NUM_THREADS=1 python -m benchmarks.tokens
    python -m benchmarks.tokens --device cuda --dtype bfloat16 --rows 32

The model has the shape of SmolLM2-135M (30 layers of 9 heads, 576 wide, 49,152 tokens) with random weights, from
``transformers``. Every patch sets one head to zero at the last position of every sequence.

* ``hook loop``: the plain forward with a PyTorch hook, once per patch, as most people write it;
* ``resume``: the model's own forward with the layers before the head passed over;
* ``tail``: the last position alone, on the kept keys and values of those before it, many patches in one pass;
* ``nnsight``: the same patches by that package, where it is installed.

A few patches of the slow ways are timed and scaled up; the output says on how many. On the CPU seconds are processor
seconds and memory is that of the process; on CUDA they are wall time until the device is done, and the most that torch
held there.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import resource
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from paribus.engine.evaluation import Engine
from paribus.engine.hooks import at_rest, visiting
from paribus.engine.interventions import AblateUnits
from paribus.engine.parts import Together, Within
from paribus.engine.sites import Site

LAYERS, HEADS, WIDTH, VOCABULARY = 30, 9, 576, 49_152
SIZE = WIDTH // HEADS
DEVICE = torch.device("cpu")
DTYPE = "float32"


def seconds(work: Callable[[], object]) -> float:
    """Return the time of one call."""
    clock = time.process_time
    if DEVICE.type == "cuda":
        torch.cuda.synchronize(DEVICE)
        torch.cuda.reset_peak_memory_stats(DEVICE)
        clock = time.perf_counter
    start = clock()
    work()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize(DEVICE)
    return clock() - start


def as_asked() -> contextlib.AbstractContextManager[object]:
    """Return what forward passes run in: nothing, or autocast to a half format."""
    if DTYPE == "float32":
        return contextlib.nullcontext()
    return torch.autocast(DEVICE.type, dtype=getattr(torch, DTYPE))


def model_of(layers: int) -> nn.Module:
    """Return a model of that shape with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=1536, num_hidden_layers=layers,
        num_attention_heads=HEADS, num_key_value_heads=3, tie_word_embeddings=True, use_cache=False,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def site_of(layer: int) -> str:
    """Return where the heads of a layer are side by side."""
    return f"model.layers.{layer}.self_attn.o_proj.input"


def head(number: int) -> Within:
    """Return the patch of one head at the last position."""
    return Within(AblateUnits(range(SIZE)), channels=range(SIZE * number, SIZE * (number + 1)), positions=[-1])


def hook_loop(model: nn.Module, ids: Tensor, chosen: list[tuple[int, int]]) -> np.ndarray:
    """Return the logits at the last position ``[patches, n, V]`` as most people compute them."""
    found = []
    with torch.no_grad(), as_asked():
        for layer, number in chosen:

            def edit(value: Tensor, number: int = number) -> Tensor:
                value = value.clone()
                value[:, -1, SIZE * number : SIZE * (number + 1)] = 0
                return value

            with visiting(model, Site.parse(site_of(layer)), edit):
                found.append(model(ids).logits[:, -1])
    return torch.stack(found).float().cpu().numpy()


def by_engine(model: nn.Module, ids: Tensor, chosen: list[tuple[int, int]], strategy: str) -> tuple[np.ndarray, float]:
    """Return the same by the engine, and the largest difference that its parity check found."""
    layers = list(dict.fromkeys(layer for layer, _ in chosen))
    first, *others = (site_of(layer) for layer in layers)
    engine = Engine(model, first, also=others, positions=(-1,), strategy=strategy, device=DEVICE, dtype=DTYPE)
    patches = [
        Together(tuple(head(number) if each == layer else None for each in layers)) if others else head(number)
        for layer, number in chosen
    ]
    evaluation = engine.evaluate(ids, patches)
    return evaluation.outputs[:, :, 0], evaluation.report.parity_max_abs_diff


def by_nnsight(model: nn.Module, ids: Tensor, chosen: list[tuple[int, int]]) -> np.ndarray:
    """Return the same by nnsight."""
    from nnsight import NNsight

    wrapped, found = NNsight(model), []
    with torch.no_grad(), as_asked():
        for layer, number in chosen:
            with wrapped.trace(ids):
                wrapped.model.layers[layer].self_attn.o_proj.input[:, -1, SIZE * number : SIZE * (number + 1)] = 0
                saved = wrapped.output.logits[:, -1].save()
            found.append(saved)
    return torch.stack(found).float().cpu().numpy()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=200)
    parser.add_argument("--slow", type=int, default=10, help="patches that the hook loop and nnsight are timed on")
    parser.add_argument("--rows", type=int, default=1, help="sequences")
    parser.add_argument("--length", type=int, default=50, help="tokens of a sequence")
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    options = parser.parse_args()
    global DEVICE, DTYPE
    DEVICE, DTYPE = torch.device(options.device), options.dtype
    if importlib.util.find_spec("transformers") is None:
        print("transformers is not installed; nothing is measured")
        return
    model = model_of(options.layers).to(DEVICE)
    ids = torch.randint(3, VOCABULARY, (options.rows, options.length), generator=torch.Generator().manual_seed(0))
    ids = ids.to(DEVICE)
    rng = np.random.default_rng(0)
    every = [(layer, number) for layer in range(options.layers) for number in range(HEADS)]
    picked = rng.choice(len(every), min(options.patches, len(every)), replace=False)
    chosen = [every[index] for index in sorted(picked)]
    few = [chosen[index] for index in np.linspace(0, len(chosen) - 1, options.slow).astype(int)]
    print(
        f"{len(chosen)} single heads of {options.layers} x {HEADS}, {options.rows} x {options.length} tokens, "
        f"{DTYPE} on {_place()}, torch {torch.__version__}; hook loop and nnsight on {len(few)} patches, scaled up.\n"
    )
    print(
        "| way | seconds | against the hook loop | largest difference | peak memory |\n| --- | --- | --- | --- | --- |"
    )
    up, slow = len(chosen) / len(few), []
    with at_rest(model):
        hook_loop(model, ids, few[:1])
        hooked = seconds(lambda: slow.append(hook_loop(model, ids, few))) * up
    reference = slow[0]
    places = [chosen.index(each) for each in few]
    print(f"| hook loop | {hooked:.1f} | 1 | | {_peak()} |", flush=True)
    for strategy in ("resume", "tail"):
        out: list[tuple[np.ndarray, float]] = []
        took = seconds(lambda: out.append(by_engine(model, ids, chosen, strategy)))  # noqa: B023
        gap = float(np.abs(out[0][0][places] - reference).max())
        print(
            f"| {strategy} | {took:.1f} | {hooked / took:.1f}x | {gap:.1e} (parity {out[0][1]:.1e}) | {_peak()} |",
            flush=True,
        )
    if importlib.util.find_spec("nnsight") is not None:
        took = seconds(lambda: slow.append(by_nnsight(model, ids, few))) * up
        gap = float(np.abs(slow[-1] - reference).max())
        print(f"| nnsight | {took:.1f} | {hooked / took:.1f}x | {gap:.1e} | {_peak()} |")


def _place() -> str:
    if DEVICE.type == "cuda":
        return f"{torch.cuda.get_device_name(DEVICE)}, wall seconds"
    return f"the CPU, {torch.get_num_threads()} thread(s), processor seconds"


def _peak() -> str:
    if DEVICE.type == "cuda":
        return f"{torch.cuda.max_memory_allocated(DEVICE) / 2**20:.0f} MiB"
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"


if __name__ == "__main__":
    main()
