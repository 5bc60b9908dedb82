import subprocess
import sys

import pytest

from evaluators.detectors import DETECTORS, IN_LOOP, check_detector, load_detector
from instdiff.errors import BadInput


def test_what_scores_does_not_steer():
    assert "judge" in DETECTORS and "judge" not in IN_LOOP
    with pytest.raises(BadInput, match="must not steer"):
        check_detector("judge")


@pytest.mark.parametrize(
    "name", ["", "none-such", "draft:", "draft:x", "Draft", "judge:x", "owl", ":", "vlm", "x" * 10_000]
)
def test_names_that_are_not_known(name):
    with pytest.raises(BadInput) as caught:
        check_detector(name)
    assert caught.value.field == "verifier" and len(str(caught.value)) < 600
    if name != "vlm":
        with pytest.raises(BadInput):
            load_detector(name)


def test_checking_a_name_loads_nothing_heavy():
    script = (
        "import sys\n"
        "from evaluators.detectors import IN_LOOP, check_detector, default_verifier\n"
        "from instdiff.errors import InstDiffError\n"
        "for name in (*IN_LOOP, 'vlm:m', 'cogvlm:a/b@' + '0' * 40):\n"
        "    try: check_detector(name, trust_remote_code=True)\n"
        "    except InstDiffError: print('refused', name)\n"
        "default_verifier('sd15')\n"
        "print(*(name for name in ('torch', 'transformers', 'ultralytics', 'openai', 'scipy') if name in sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    lines = result.stdout.splitlines()
    assert lines[-1] == "" and len(lines) > 4


def test_a_detector_is_as_sure_as_the_user_says():
    assert load_detector("draft", found_score=0.7).found_score == 0.7
    assert 0.0 < load_detector("draft").found_score < 0.7
