"""What a run is asked for: by flags, and back to the flags that ask for it."""

import shlex

import pytest

import run_agent
from agent.dataset.recipe import Recipe
from agent.request import Request
from instdiff.cli import options
from instdiff.render_settings import RenderSettings

VALUES = {
    "planner": "chat:m",
    "planner_url": "http://127.0.0.1:9/v1",
    "engine": "sd15",
    "verifier": "vlm:m",
    "verifier_url": "http://127.0.0.1:9/v2",
    "verifier_dialect": "json",
    "planning": "boxes",
    "size": (640, 384),
    "settings": RenderSettings(
        seed=3,
        num_images=2,
        num_inference_steps=7,
        guidance_scale=1.5,
        alpha=0.5,
        mis=0.25,
        preset="fast",
        cascade_strength=0.3,
    ),
    "found_score": 0.4,
    "repair": False,
    "candidates": 4,
    "rounds": 2,
    "cache": False,
    "num_ctx": 16_384,
    "max_tokens": 500,
    "max_usd": 0.5,
    "refiner": "folder",
}


def read_command(request):
    words = shlex.split(request.command())
    flags = vars(run_agent.build_parser().parse_args(words[2:]))
    return run_agent.build_request(flags, {}).model_copy(update={"prompt": flags["prompt"]})


@pytest.mark.parametrize("field", VALUES)
def test_each_field_is_asked_for_by_the_command(field):
    request = Request(prompt="a dog -- 'twice'", **{field: VALUES[field]})
    assert read_command(request) == request != Request(prompt=request.prompt)


def test_all_fields_together_are_asked_for_by_the_command():
    request = Request(prompt="a dog", **VALUES)
    assert read_command(request) == request
    settings = {option.path[-1] for option in options(RenderSettings)}
    assert {option.path[-1] for option in options(Request)} == VALUES.keys() - {"settings"} | settings | {"review"}


def test_what_is_as_by_default_is_left_out():
    assert Request(prompt="a dog", review=True).command() == "instdiff-agent make -- 'a dog'"
    offline = Request(prompt="a dog", planner="offline", planning="boxes")  # it would refuse --planning
    assert offline.command() == "instdiff-agent make --planner offline -- 'a dog'"


def test_a_recipe_shares_its_options_with_a_request_and_has_its_own_seed():
    shared = {option.key for option in options(Request)} & {option.key for option in options(Recipe)}
    assert {"planner", "engine", "verifier", "found_score", "rounds", "size", "steps", "alpha"} <= shared
    keys = [option.key for option in options(Recipe)]
    assert len(keys) == len(set(keys)) and not {"images", "refine", "preset", "review", "max_usd"} & set(keys)
