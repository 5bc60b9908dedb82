// What the pointer does with each tool between press and release. A gesture is {move(at, event), end()}: `move` shows
// the change, `end` finishes it. Leaving without `end` is cancelling: the editor puts back what stood before.

const NO_MASK = "Select an instance with a mask to erase from it.";
const nothing = { move() {}, end() {} };

const GESTURES = {
  select(editor, start, event) {
    const handle = event.target.dataset?.handle;
    return handle ? resizing(editor, handle) : moving(editor, start, event);
  },

  pan: (editor, start, event) => panning(editor, event),

  box(editor, start) {
    const mine = editor.free && !editor.free.box ? editor.free.id : editor.add();
    if (mine === null) return nothing;
    let box = null;
    return {
      move(at) {
        box = boxBetween(start, at, editor.size);
        editor.change(mine, { box });
      },
      end() {
        if (box) editor.use("select");
        else editor.cancel("Press and drag to draw a box.");
      },
    };
  },

  point(editor, start) {
    const mine = editor.free?.id ?? editor.add();
    if (mine === null) return nothing;
    editor.change(mine, { point: start });
    return { move: (at) => editor.change(mine, { point: at }), end: () => editor.use("select") };
  },

  scribble(editor, start) {
    const mine = editor.free?.id ?? editor.add();
    if (mine === null) return nothing;
    const path = [start];
    return {
      move(at) {
        path.push(at);
        editor.change(mine, { scribble: { points: evenly(path, SCRIBBLE_POINTS, editor.size) } });
      },
      end() {
        if (pathLength(path, editor.size) >= MIN_SIDE) editor.use("select");
        else editor.cancel("Press and drag to draw a scribble.");
      },
    };
  },

  brush: (editor, start) => painting(editor, start, 1),

  erase(editor, start) {
    if (editor.free?.mask) return painting(editor, start, 0);
    editor.say(editor.fixed || NO_MASK);
    return nothing;
  },
};

function resizing(editor, handle) {
  const { id, box } = editor.chosen;
  return { move: (at) => editor.change(id, { box: resized(box, handle, at, editor.size) }), end() {} };
}

// A press takes the selected instance where it is under the pointer, so that it can be dragged from below smaller ones,
// and passes those that are locked; a release without a drag selects the smallest one there.
function moving(editor, start, event) {
  const under = editor.under(start);
  const movable = under.filter((item) => !editor.locked.has(item.id));
  const mine = movable.find((item) => item.id === editor.selected) ?? movable[0] ?? under[0];
  editor.select(mine?.id ?? null);
  if (!mine) return editor.zoom > 1 ? panning(editor, event) : nothing;
  const alone = !mine.box && !mine.scribble && !mine.mask;
  const pointOnly = !alone && placeAt(mine, start, editor.screen) === "point";
  let dragged = false;
  return {
    move(at) {
      dragged ||= distance(start, at, editor.screen) > 3;
      if (!dragged) return;
      if (editor.fixed) editor.say(editor.fixed);
      else if (pointOnly) editor.change(mine.id, { point: at });
      else editor.change(mine.id, moved(mine, at.x - start.x, at.y - start.y, editor.size));
    },
    end() {
      if (!dragged) editor.select(under[0].id);
    },
  };
}

function painting(editor, start, value) {
  const mine = editor.free?.id ?? editor.add();
  if (mine === null) return nothing;
  const bitmap = canvasFor(editor.chosen.mask, editor.size);
  let last = start;
  const paint = (at) => {
    stroke(bitmap, last, at, editor.brush, value, editor.size);
    last = at;
    editor.painted = { id: mine, bitmap };
    draw(editor);
  };
  paint(start);
  return {
    move: paint,
    end() {
      const { box, point, scribble, caption, category } = editor.chosen;
      const empty = !bitmap.bits.includes(1);
      if (empty && !box && !point && !scribble) {
        editor.cancel(`The mask is the only place of “${category || caption}”; delete the instance instead.`);
      } else editor.change(mine, { mask: empty ? null : maskFrom(bitmap) });
    },
  };
}
