"""A real CLIP that is tiny and has learned nothing, as a folder in transformers layout."""

from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer


def write_clip(golden: Path, folder: Path) -> Path:
    """Write it into the folder, with the tokenizer of the reference figures; returns the folder."""
    tokenizer = CLIPTokenizer.from_pretrained(golden / "mini_clip")
    part = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    words = {**part, **ends, "vocab_size": len(tokenizer), "max_position_embeddings": 77}
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config=words, vision_config={**part, "image_size": 32, "patch_size": 16}, projection_dim=16
    )
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder
