// What keys do while the focus is in the editor and in none of its fields.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const TOOL_KEYS = { v: "select", b: "box", p: "point", s: "scribble", m: "brush", e: "erase" };
const PLAIN_KEYS = {
  n: (editor) => editor.startNew(),
  h: (editor) => editor.toggle("hidden", editor.selected),
  l: (editor) => editor.toggle("locked", editor.selected),
  "+": (editor) => zoomTo(editor, editor.zoom * ZOOM_STEP),
  "=": (editor) => zoomTo(editor, editor.zoom * ZOOM_STEP),
  "-": (editor) => zoomTo(editor, editor.zoom / ZOOM_STEP),
  0: (editor) => zoomTo(editor, 1),
  "?": (editor) => editor.help(),
  Delete: (editor) => editor.delete(),
  Backspace: (editor) => editor.delete(),
};
const COMMAND_KEYS = {
  z: (editor, shift) => (shift ? editor.redo() : editor.undo()),
  y: (editor) => editor.redo(),
  d: (editor) => editor.copy(),
};

// What a key does; null where it is none of ours.
function keyAction(editor, event) {
  const { key, shiftKey, altKey, target } = event;
  const letter = key.toLowerCase();
  const stage = editor.part("stage");
  if (key === "Escape") return () => (editor.typing ? stage.focus() : editor.escape());
  if (editor.typing) return key === "Enter" && target.type === "number" ? () => stage.focus() : null;
  if (event.ctrlKey || event.metaKey) return COMMAND_KEYS[letter] ? () => COMMAND_KEYS[letter](editor, shiftKey) : null;
  if (altKey) return null;
  if (key === " " && target === stage) return () => editor.hold(true);
  if (ARROWS[key]) {
    const isFree = editor.chosen && target.type !== "range";
    return isFree ? () => editor.nudge(ARROWS[key], shiftKey ? 10 : 1) : null;
  }
  if (TOOL_KEYS[letter]) return () => editor.use(TOOL_KEYS[letter]);
  const act = PLAIN_KEYS[key] ?? PLAIN_KEYS[letter];
  return act ? () => act(editor) : null;
}
