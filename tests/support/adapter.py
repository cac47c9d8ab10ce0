"""A LoRA adapter for the demo model that visibly changes what it says."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

LAYERS, HIDDEN, KV, RANK = 30, 576, 192, 4


def demo_adapter(folder: Path) -> Path:
    """Writes it as PEFT would; returns the folder."""
    folder.mkdir()
    chance = np.random.default_rng(0)
    tensors = {}
    for layer in range(LAYERS):
        for name, out in (("q_proj", HIDDEN), ("v_proj", KV)):
            base = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            tensors[f"{base}.lora_A.weight"] = chance.normal(0, 0.2, (RANK, HIDDEN)).astype(np.float32)
            tensors[f"{base}.lora_B.weight"] = chance.normal(0, 0.2, (out, RANK)).astype(np.float32)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": 16,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": ["q_proj", "v_proj"],
        "base_model_name_or_path": "HuggingFaceTB/SmolLM2-135M-Instruct",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder
