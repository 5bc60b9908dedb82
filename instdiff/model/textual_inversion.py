"""Textual inversion in a pipeline: new words of its tokenizer, with vectors that were trained for them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import torch
from tokenizers import AddedToken, Tokenizer
from torch import nn

from instdiff.checkpoint.pickles import Record, read_pickle
from instdiff.checkpoint.tensors import Lazy, read_safetensors
from instdiff.errors import BadInput
from instdiff.model.adapter_files import find_file

Source: TypeAlias = str | os.PathLike | Mapping[str, Any] | torch.Tensor
Prompt = TypeVar("Prompt", str, list[str])
_USUAL_NAMES = ("learned_embeds.safetensors", "learned_embeds.bin")


class TextualInversionMixin:
    """Words that a text encoder has learned (Gal et al., An Image is Worth One Word, ICLR 2023).

    A word of several vectors is as many tokens, called as in diffusers: ``<cat>``, ``<cat>_1``, ``<cat>_2`` and so on.
    """

    tokenizer: Any
    text_encoder: Any

    def load_textual_inversion(
        self,
        pretrained_model_name_or_path: Source | Sequence[Source],
        token: str | Sequence[str | None] | None = None,
        **where: Any,
    ) -> None:
        """Load words, by which captions can then name what they stand for.

        Args:
            pretrained_model_name_or_path: a file of diffusers (``learned_embeds.bin``, ``.safetensors``) or of
                Automatic1111 (``.pt``, ``.safetensors``), a folder, a repository on the Hub, what is in such a file, or
                its vectors (D,) or (n, D); or several of these.
            token: the word, or one for each source; None is the word that the file says, or else its name.
            where: weight_name, subfolder and the Hub's options, see `find_file`.

        Raises:
            BadInput: it is no textual inversion, not for this text encoder, damaged or not there, or a word is known
                already.
        """
        sources: list[Any] = _as_list(pretrained_model_name_or_path)
        tokens: list[Any] = [None] * len(sources) if token is None else _as_list(token)
        if len(tokens) != len(sources):
            raise BadInput("token", f"{len(tokens)} for {len(sources)} sources; give one for each")
        embeddings = self.text_encoder.get_input_embeddings().weight
        if embeddings.is_meta:
            reason = "the text encoder's layers are offloaded one by one; load words before you enable that"
            raise BadInput("load_textual_inversion", reason)
        width = embeddings.shape[1]
        words: dict[str, torch.Tensor] = {}
        for source, wanted in zip(sources, tokens, strict=True):
            said, vectors = _read(source, **where)
            word = self._new_word(wanted or said, words)
            if vectors.dim() != 2 or vectors.shape[1] != width or not len(vectors):
                shapes = f"has vectors of shape {list(vectors.shape)}, and the text encoder reads (n, {width})"
                raise BadInput(word, f"{shapes}: it is for another model")
            if not vectors.isfinite().all():
                raise BadInput(word, "holds values that are not finite; the file is damaged")
            words[word] = vectors
        self._add_words(words)

    def unload_textual_inversion(self, tokens: str | Sequence[str] | None = None) -> None:
        """Take words out again; None is all of them.

        Raises:
            BadInput: a word is not there.
        """
        added = _added(self.tokenizer)
        tokens = _first_tokens(added) if tokens is None else _as_list(tokens)
        if unknown := [token for token in tokens if token not in added]:
            there = ", ".join(_first_tokens(added)) or "none"
            raise BadInput("tokens", f"{', '.join(unknown)} are no loaded words; there are: {there}")
        gone = {name for token in tokens for name in _tokens_of(token, added)}
        embeddings = self.text_encoder.get_input_embeddings().weight.data
        gone_ids = [added[name] for name in gone]
        kept_ids = [i for i in range(len(embeddings)) if i not in set(gone_ids)]

        content = json.loads(self.tokenizer._tokenizer.to_str())
        content["added_tokens"] = [entry for entry in content["added_tokens"] if entry["content"] not in gone]
        for entry in content["added_tokens"]:
            entry["id"] -= sum(i < entry["id"] for i in gone_ids)
        self.tokenizer._tokenizer = Tokenizer.from_str(json.dumps(content))
        self._set_embeddings(embeddings[kept_ids])

    def maybe_convert_prompt(self, prompt: Prompt, tokenizer: Any = None) -> Prompt:
        """The prompt, or prompts, with every word of several vectors spelt out as its tokens."""
        added = _added(tokenizer or self.tokenizer)
        if not any(f"{token}_1" in added for token in added):
            return prompt
        words = sorted(_first_tokens(added), key=len, reverse=True)
        pattern = "|".join(map(_whole, words))
        spelt = {word.lower(): " ".join(_tokens_of(word, added)) for word in words}

        def spell(text: str) -> str:
            return re.sub(pattern, lambda match: spelt[match[0].lower()], text, flags=re.IGNORECASE)

        return spell(prompt) if isinstance(prompt, str) else [spell(text) for text in prompt]

    def _new_word(self, word: object, others: Mapping[str, torch.Tensor]) -> str:
        """The word, which neither the tokenizer nor the ``others`` have."""
        if not isinstance(word, str) or not word.strip() or len(word.split()) != 1:
            raise BadInput("token", f"{word!r} is no word; give one without spaces as token")
        vocabulary = self.tokenizer.get_vocab()
        known = vocabulary.keys() | {name.lower() for name in (*_added(self.tokenizer), *others)}
        if {word, f"{word}_1", word.lower(), f"{word.lower()}</w>"} & known:
            raise BadInput("token", f'"{word}" is a word of the tokenizer already; give another as token')
        return word

    def _add_words(self, words: Mapping[str, torch.Tensor]) -> None:
        known = self.text_encoder.get_input_embeddings().weight.data[: len(self.tokenizer)]
        names = [name for word, vectors in words.items() for name in _names(word, len(vectors))]
        # A word of letters stands between spaces: "art" is not found in "party".
        whole = {name: re.fullmatch(r"\w(.*\w)?", name) is not None for name in names}
        self.tokenizer.add_tokens([AddedToken(name, single_word=whole[name], normalized=True) for name in names])
        new = torch.cat(list(words.values())).to(known.device, known.dtype)
        self._set_embeddings(torch.cat([known, new]))
        # Older configs say 2: the encoder then pools at the highest number, which would be that of a new word.
        self.text_encoder.eos_token_id = self.text_encoder.config.eos_token_id = self.tokenizer.eos_token_id

    def _set_embeddings(self, weights: torch.Tensor) -> None:
        """weights: (number of tokens, D)."""
        self.text_encoder.set_input_embeddings(nn.Embedding.from_pretrained(weights, freeze=False))
        self.text_encoder.config.vocab_size = len(weights)


def _as_list(value: Any) -> list:
    return [value] if isinstance(value, str | os.PathLike | Mapping | torch.Tensor) else list(value)


def _added(tokenizer: Any) -> dict[str, int]:
    """The tokens that were added to a tokenizer, and their numbers, in order."""
    tokens = {number: token for number, token in tokenizer.added_tokens_decoder.items() if not token.special}
    return {tokens[number].content: number for number in sorted(tokens)}


def _names(word: str, count: int) -> list[str]:
    return [word, *(f"{word}_{i}" for i in range(1, count))]


def _tokens_of(word: str, added: Mapping[str, int]) -> list[str]:
    """The tokens of a word of one or more vectors."""
    count = 1
    while f"{word}_{count}" in added:
        count += 1
    return _names(word, count)


def _first_tokens(added: Mapping[str, int]) -> list[str]:
    """The words, without the further tokens of those of several vectors."""
    further = {name for token in added for name in _tokens_of(token, added)[1:]}
    return [token for token in added if token not in further]


def _whole(token: str) -> str:
    """A pattern of a token that is no part of another."""
    before = r"(?<!\w)" if re.match(r"\w", token) else ""
    after = r"(?!\w)" if re.search(r"\w$", token) else r"(?!_\d)"
    return before + re.escape(token) + after


def _read(source: Source, **where: Any) -> tuple[str | None, torch.Tensor]:
    """The word that a source says, or None, and its vectors (n, D)."""
    if isinstance(source, str | os.PathLike):
        path = find_file(source, _USUAL_NAMES, **where)
        content: Any = read_safetensors(path) if path.suffix == ".safetensors" else read_pickle(path)
        return _word_and_vectors(content, str(path), path.stem)
    return _word_and_vectors(source, "textual inversion", None)


def _word_and_vectors(content: Any, field: str, name: str | None) -> tuple[str | None, torch.Tensor]:
    """What is in a file of diffusers, {word: vectors}, or of Automatic1111; ``name`` is the file's."""
    if isinstance(content, Lazy | torch.Tensor):
        return name, _vectors(content)
    if not isinstance(content, Mapping):
        raise BadInput(field, "is no textual inversion")
    if {"clip_l", "clip_g"} <= content.keys():
        raise BadInput(field, "is a textual inversion for Stable Diffusion XL; this model is Stable Diffusion 1.x")
    word = None
    if "string_to_param" in content:  # Automatic1111, and the authors of the paper
        said = content.get("name")
        word = said if isinstance(said, str) and said.strip() else name
        content = _parameters(content["string_to_param"])
    tensors = {key: value for key, value in content.items() if isinstance(value, Lazy | torch.Tensor)}
    if len(tensors) != 1 or len(tensors) != len(content):
        raise BadInput(field, f"is no textual inversion: it holds {len(tensors)} tensors, which should be one")
    key, vectors = next(iter(tensors.items()))
    return word or (name if key in ("*", "emb_params") else key), _vectors(vectors)


def _parameters(value: object) -> Mapping[str, Any]:
    """The tensors of a dict, or of what older files have: PyTorch's ParameterDict, read as a record."""
    if isinstance(value, Record) and isinstance(value.state, dict):
        value = value.state.get("_parameters")
    return value if isinstance(value, Mapping) else {}


def _vectors(tensor: Lazy | torch.Tensor) -> torch.Tensor:
    """(n, D) float32."""
    value = (tensor.load() if isinstance(tensor, Lazy) else tensor.detach().cpu()).float()
    return value[None] if value.dim() == 1 else value
