import numpy as np
import pytest
from PIL import Image

pytest.importorskip("cv2")

from evaluators.detectors import Detector
from evaluators.eye.pictures import ComposedPicture, KnownPicture, layout_of
from evaluators.report import Detection
from instdiff.layout import Box
from instdiff.training.draft.captions import Look, Place
from instdiff.training.draft.composer import Composer, LayeredScene
from instdiff.training.draft.planned_scenes import PlacedThing
from instdiff.training.draft.sprites import Sprite

# of no background's hue; what comes in one colour alone is never painted in another
SOLID = {
    "zebra": (250, 0, 250),
    "clock": (0, 250, 250),
    "rocket": (0, 0, 250),
    "kite": (250, 0, 0),
    "fountain": (0, 250, 0),
}
MIN_PIXELS = 20


def sprite(name, rgb, width=60, height=40):
    return Sprite(
        name, np.dstack([np.full((height, width, 3), rgb, np.uint8), np.full((height, width), 255, np.uint8)])
    )


class SharpEye(Detector):
    """Sees every solid thing exactly where it is, by its hue."""

    name = "sharp"
    threshold = 0.5
    found_score = 0.5

    def canonical(self, category):
        return category if category in SOLID else None

    def detect(self, images, asked, min_score=None):
        return [self._on(np.asarray(image, dtype=float), set(asked)) for image in images]

    def _on(self, pixels, asked):
        from skimage.measure import label, regionprops

        total = pixels.sum(axis=-1)
        size = pixels.shape[1::-1]
        seen = []
        for name, rgb in SOLID.items():
            hue = np.array(rgb) / sum(rgb)
            near = (np.abs(pixels / np.maximum(total, 1)[..., None] - hue).max(axis=-1) < 0.05) & (total > 60)
            for region in regionprops(label(near)) if name in asked else []:
                y0, x0, y1, x1 = region.bbox
                if region.area >= MIN_PIXELS:
                    box = Box.from_corners([x0, y0, x1, y1], size)
                    seen.append(Detection(category=name, score=0.9, box=box))
        return seen


class BlindEye(SharpEye):
    """Sees nothing."""

    name = "blind"

    def _on(self, pixels, asked):
        return []


class CredulousEye(SharpEye):
    """Sees whatever it is asked for, surely."""

    name = "credulous"

    def ask(self, images, questions, iou_threshold=0.5):
        from evaluators.questions import Sighting

        def answer(question):
            return Detection(category=question.category, score=1.0, box=question.boxes[0])

        return [Sighting(tuple(map(answer, asked)), ()) for asked in questions]


@pytest.fixture(scope="session")
def composer():
    return Composer({name: [sprite(name, rgb)] for name, rgb in SOLID.items()}, size=128)


@pytest.fixture
def scene(composer):
    """Makes a composed picture of things (category, left, top, width, height), nearest last, on white."""

    def make(*things, seed=1, drawn_by=composer, colour=None):
        layers = []
        for depth, (name, left, top, width, height) in enumerate(things):
            placed = PlacedThing(name, left, top, width, height, depth, standing=False)
            layers.append(drawn_by.layer(placed, drawn_by.sprites[name][0], Look(name, colour)))
        white = np.full((drawn_by.size, drawn_by.size, 3), 255, np.float32)
        arranged = LayeredScene(white, Place("", ""), drawn_by._visible(layers))
        composite = drawn_by.finish(arranged, np.random.default_rng(seed))
        known = KnownPicture.of(Image.fromarray(composite.image), layout_of(composite))
        return ComposedPicture(seed, arranged, known)

    return make


@pytest.fixture
def eyes():
    return {eye.name: eye for eye in (SharpEye(), BlindEye(), CredulousEye())}
