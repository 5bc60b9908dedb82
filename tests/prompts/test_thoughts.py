"""What is said is told from what was thought, in the marks of many models."""

import pytest

from prompts.thoughts import without_thoughts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a cat", "a cat"),
        ("", ""),
        ("<think>a dog?</think>a cat", "a cat"),
        ("<think>\n\n</think>\n\na cat", "a cat"),
        ("a dog?</think>a cat", "a cat"),  # the opening stood in the prompt
        ("<think>a dog? </think> no </think> a cat", "a cat"),
        ("<think>I may <think> more: a dog</think>a cat", "a cat"),
        ("<think>a dog? or a", ""),
        ("<Thinking>a dog?</Thinking> a cat", "a cat"),
        ("<thought time=3>a dog?</thought>a cat<thought>or a dog</thought>", "a cat"),
        ("<reasoning>a dog</reasoning>a cat", "a cat"),
        ("[THINK]a dog?[/THINK]a cat", "a cat"),
        ("◁think▷a dog?◁/think▷a cat", "a cat"),
        ("<|START_THINKING|>a dog<|END_THINKING|>a cat", "a cat"),
        ("<|begin_of_thought|>a dog<|end_of_thought|>a cat", "a cat"),
        (
            "<|channel|>analysis<|message|>a dog?<|end|><|start|>assistant<|channel|>final<|message|>a cat<|return|>",
            "a cat",
        ),
        ("<|channel|>analysis<|message|>a dog?", ""),
        ("a dog < a cat, and <b>bold</b>", "a dog < a cat, and <b>bold</b>"),
    ],
)
def test_what_is_said(text, said):
    assert without_thoughts(text).strip() == said
