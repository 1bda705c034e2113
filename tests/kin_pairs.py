"""Ways of saving a real model again, or of making another one of it."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

READERS = ("embed_tokens", "lm_head", "q_proj", "k_proj", "v_proj", "up_proj", "gate_proj")  # of the residual stream


def weights(folder):
    """Name -> tensor of a model's folder."""
    return load_file(Path(folder, "model.safetensors"))


def save(folder, tensors, name="model.safetensors"):
    """Write a model and return its file."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, Path(folder, name))
    return Path(folder, name)


def noise(w, size):
    g = torch.Generator().manual_seed(1)
    return {k: v + size * torch.randn(v.shape, generator=g) * (v.std() if v.numel() > 1 else 1) for k, v in w.items()}


def cast(w, dtype, *, back=False):
    return {k: v.to(dtype).to(torch.float32) if back else v.to(dtype) for k, v in w.items()}


def permute_neurons(w, seed=1):
    """The same function: the neurons of each MLP in another order."""
    g, out = torch.Generator().manual_seed(seed), dict(w)
    for name in [k.removesuffix("up_proj.weight") for k in w if k.endswith("mlp.up_proj.weight")]:
        order = torch.randperm(len(w[f"{name}up_proj.weight"]), generator=g)
        for part in ("up_proj", "gate_proj"):
            for kind in ("weight", "bias"):
                if f"{name}{part}.{kind}" in w:
                    out[f"{name}{part}.{kind}"] = w[f"{name}{part}.{kind}"][order]
        out[f"{name}down_proj.weight"] = w[f"{name}down_proj.weight"][:, order]
    return out


def permute_dimensions(w, seed=1):
    """The same function: the dimensions of the residual stream in another order."""
    width = w["model.norm.weight"].numel()
    order = torch.randperm(width, generator=torch.Generator().manual_seed(seed))
    out = dict(w)
    for name, v in w.items():
        if name.removesuffix(".weight").endswith(READERS) and v.dim() == 2:
            out[name] = v[:, order]
        elif any(f"{p}." in name for p in ("norm", "layernorm", "o_proj", "down_proj")):
            out[name] = v[order]
    return out


def prune(w, share=0.5):
    """The smallest weights of each matrix are 0."""
    return {k: torch.where(v.abs() < v.abs().flatten().quantile(share), 0, v) if v.dim() > 1 else v
            for k, v in w.items()}  # fmt: skip


def merge(w, rank=2, size=0.5):
    """An adapter of low rank added to every matrix of attention."""
    g, out = torch.Generator().manual_seed(1), dict(w)
    for k, v in w.items():
        if "_proj.weight" in k and "self_attn" in k:
            delta = torch.randn(v.shape[0], rank, generator=g) @ torch.randn(rank, v.shape[1], generator=g)
            out[k] = v + size * v.std() * delta
    return out


def renamed(w):
    return {f"t{i:03}": v for i, v in enumerate(w.values())}


def flattened(w):
    return {k: v.flatten() for k, v in w.items()}


def fused(w):
    """Queries, keys and values in one matrix."""
    out = {k: v for k, v in w.items() if not any(f"{p}_proj" in k for p in "qkv")}
    for k in [k for k in w if "q_proj" in k]:
        out[k.replace("q_proj", "qkv_proj")] = torch.cat([w[k.replace("q_proj", f"{p}_proj")] for p in "qkv"])
    return out


def padded(w, rows=13):
    k = "model.embed_tokens.weight"
    return w | {k: torch.cat([w[k], torch.zeros(rows, w[k].shape[1])])}
