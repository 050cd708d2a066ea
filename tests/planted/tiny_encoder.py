"""A text encoder of two small layers with random weights, in a folder as Hugging Face writes it, with its tokenizer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import torch

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def write_tokenizer(folder: Path, texts: Iterable[str]) -> Path:
    """Write the tokenizer of the words in texts; it puts a token before and one after each text."""
    words = sorted({word for text in texts for word in re.findall(r"\w+|[^\w\s]+", text)})
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *words])}
    around = {name: {"id": name, "ids": [vocabulary[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")}
    before, after = ({"SpecialToken": {"id": name, "type_id": 0}} for name in around)
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    made = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": vocabulary[name], "content": name, "single_word": False, "lstrip": False, "rstrip": False}
            | {"normalized": False, "special": True}
            for name in SPECIAL
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [before, first, after],
            "pair": [before, first, after, second, after],
            "special_tokens": around,
        },
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(made))
    return folder


def write_encoder(folder: Path, texts: Iterable[str], width: int = 16, seed: int = 0) -> Path:
    """Write tokenizer and weights."""
    from transformers import BertConfig, BertModel

    write_tokenizer(folder, texts)
    n_tokens = len(json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"])
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=n_tokens, hidden_size=width, num_hidden_layers=2, num_attention_heads=2, intermediate_size=2 * width,
        max_position_embeddings=64, initializer_range=0.3,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder
