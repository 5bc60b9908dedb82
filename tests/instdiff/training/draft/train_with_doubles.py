"""`instdiff.train` with a few drawings of our own in the place of those that are fetched."""

import sys
from functools import partial

from instdiff.train import main
from instdiff.training.draft import sheets, stages
from instdiff.training.draft.stream import SceneStream
from tests.instdiff.model.test_detector import composer

if __name__ == "__main__":  # the processes that compose import this module too
    sheets.COUNT = 2
    stages.load_sprites = lambda folder: composer().sprites
    stages.SceneStream = partial(SceneStream, first_scenes=4)
    sys.exit(main())
