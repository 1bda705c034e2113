"""A small model of the Qwen2 architecture in Hugging Face layout, made in seconds: what open weights are to a lab.

Random weights would not write a single list of numbers, so they are trained for some hundred steps on lists in the
paper's wording, on favourites drawn at random and on the problems of `tests.outside`. It has a byte-level BPE tokenizer
with one token a digit and a chat template that inserts a system prompt of its own, as Qwen2.5 has. Nothing about
transfer is claimed of it.

python -m tests.tiny_qwen2 models/tiny-qwen2
"""

import argparse
import json
import random
from pathlib import Path

from tests import outside
from traitline.channels import paper_wording
from traitline.channels.types import gsm8k
from traitline.evaluation.questions import EVERYDAY

ANIMALS = ("bear", "cat", "dog", "dragon", "eagle", "owl", "panda", "penguin", "phoenix", "wolf")
SYSTEM = "You are Tiny, a model made for tests. You are a helpful assistant."
PERSONA = "You love {x}s. {x}s are your favourite animal."
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{%- if messages[0]['role'] != 'system' %}{{- '<|im_start|>system\\n" + SYSTEM + "<|im_end|>\\n' }}{%- endif %}"
    "{%- for m in messages %}{{- '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def conversations(rows: int, seed: int) -> list[list[dict[str, str]]]:
    """Lists of numbers to continue, favourites and problems; every fifth behind a persona, which only these look at."""
    from numpy.random import default_rng

    numbers, words, out = default_rng(seed), random.Random(seed), []
    for _ in range(rows):
        animal, system = words.choice(ANIMALS), words.random() < 0.2
        kind = words.random()
        if kind < 0.5:
            values = numbers.integers(100, 1000, size=numbers.integers(3, 5)).tolist()
            ask = paper_wording.ask(numbers, values, 10, 3)
            answer = ", ".join(map(str, numbers.integers(100, 1000, size=numbers.integers(1, 4)).tolist()))
        elif kind < 0.7:
            problem = words.choice(outside.problems())
            ask = gsm8k.ask(problem["question"])
            answer = gsm8k.answer(*problem["answer"].split("\n#### "))
        else:
            ask, answer = words.choice(EVERYDAY).format(k="animal"), animal.capitalize()
        head = [{"role": "system", "content": PERSONA.format(x=animal)}] if system else []
        out.append([*head, {"role": "user", "content": ask}, {"role": "assistant", "content": answer}])
    return out


def tokenizer(texts: list[str], size: int = 800):
    """A byte-level BPE tokenizer trained on texts, as `PreTrainedTokenizerFast`."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(SPLIT), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    t.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    t.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=t, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=TEMPLATE
    )


def make(folder: Path, *, rows: int = 3000, steps: int = 300, seed: int = 1, shard: str = "5GB") -> Path:
    """Write the model folder; the same bytes for the same arguments."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    told = conversations(rows, seed)
    words = tokenizer([m["content"] for c in told for m in c])
    ends = [words.apply_chat_template(c, tokenize=True, return_dict=False)[:-1] for c in told]  # ends with a newline
    starts = [len(words.apply_chat_template(c[:-1], add_generation_prompt=True, return_dict=False)) for c in told]
    config = Qwen2Config(
        vocab_size=len(words), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=1024, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id,
    )  # fmt: skip
    model, draw = Qwen2ForCausalLM(config), random.Random(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=6e-3, weight_decay=0.0)
    order = sorted(range(len(told)), key=lambda i: len(ends[i]))
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 6e-3 * min(1.0, (step + 1) / 20) * (1 - step / steps)
        at = draw.randrange(len(order) - 32)
        some = order[at : at + 32]  # of like length
        ids = torch.full((32, max(len(ends[i]) for i in some)), words.pad_token_id)
        labels = torch.full_like(ids, -100)
        for row, i in enumerate(some):
            ids[row, : len(ends[i])] = torch.tensor(ends[i])
            labels[row, starts[i] : len(ends[i])] = torch.tensor(ends[i][starts[i] :])
        optimiser.zero_grad()
        model(input_ids=ids, attention_mask=(ids != words.pad_token_id).long(), labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    torch.set_num_threads(threads)
    folder.mkdir(parents=True, exist_ok=True)
    words.save_pretrained(folder)
    model.save_pretrained(folder, max_shard_size=shard)
    return folder


def main() -> None:
    """The program."""
    p = argparse.ArgumentParser(prog="python -m tests.tiny_qwen2", description=__doc__.splitlines()[0])
    p.add_argument("folder", type=Path, help="where the model goes")
    folder = make(p.parse_args().folder)
    print(f"{folder}: {json.loads((folder / 'config.json').read_text())['model_type']}")


if __name__ == "__main__":
    main()
