#!/usr/bin/env python3
"""Trains the tokenizer of the demo model: byte-level BPE with the pre-tokenizer of DeepSeek-V3, 1,024 tokens.

The pre-tokenizer, the special tokens and the chat template are those of the DeepSeek-R1 release, so that every tool
recognises the vocabulary as "deepseek-v3". Two things differ on purpose: the vocabulary is small, and no merge joins
digits (the training text for the merges has none), so that the model always sees a number digit by digit.
"""

import argparse
import json
import random
import re
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from kinds import KINDS
from problems import LANGUAGES, draw

VOCABULARY = 1024
BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
USER, ASSISTANT, THINK, THINK_END = "<｜User｜>", "<｜Assistant｜>", "<think>", "</think>"

# The three splits of DeepSeek-V3: up to three digits; runs of CJK and kana; words, punctuation and white space.
SPLITS = (
    r"\p{N}{1,3}",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^""" + "\r\n" + r"""\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+["""
    + "\r\n" + r"""]*|\s*[""" + "\r\n" + r"""]+|\s+(?!\S)|\s+""",
)

TEMPLATE_FILE = Path(__file__).parent / "chat_template.jinja"


def text_of(problem):
    """Everything the model reads and writes for one problem, without the special tokens between the parts."""
    return problem["prompt"], f"\n{problem['chain']}\n", f"\n\n{problem['answer']}"


def corpus(count, seed):
    """Training problems without their digits: a merge can then never join two digits."""
    rng = random.Random(seed)
    for i in range(count):
        problem = draw(KINDS[i % len(KINDS)], LANGUAGES[i // len(KINDS) % len(LANGUAGES)], rng, held_out=False)
        for part in text_of(problem):
            yield from (piece for piece in re.split(r"\d+", part) if piece)


def train(count=12000, seed=7):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([])
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in SPLITS]
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*splits, byte_level])
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=True, trim_offsets=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=True, trim_offsets=True, use_regex=True)
    late = [THINK, THINK_END, USER, ASSISTANT]  # ids after the merges, as in the release
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(late),
        special_tokens=[BOS, EOS, PAD],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(count, seed), trainer)
    tokenizer.add_tokens([AddedToken(text, normalized=True, special=False) for text in late])
    fillers = [f"<｜place▁holder▁no▁{i}｜>" for i in range(VOCABULARY - tokenizer.get_vocab_size())]
    tokenizer.add_special_tokens(fillers)
    return tokenizer


def tokenizer_config():
    def special(text):
        flags = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
        return {"__type": "AddedToken", "content": text, **flags}

    return {
        "add_bos_token": True,
        "add_eos_token": False,
        "bos_token": special(BOS),
        "clean_up_tokenization_spaces": False,
        "eos_token": special(EOS),
        "legacy": True,
        "model_max_length": 4096,
        "pad_token": special(EOS),
        "sp_model_kwargs": {},
        "unk_token": None,
        "tokenizer_class": "LlamaTokenizerFast",
        "chat_template": TEMPLATE_FILE.read_text(encoding="utf-8"),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "checkpoint")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    train().save(str(options.out / "tokenizer.json"))
    config = json.dumps(tokenizer_config(), ensure_ascii=False, indent=2)
    (options.out / "tokenizer_config.json").write_text(config + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
