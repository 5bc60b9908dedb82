// The state of one editor, its history and its keys. State lives with the DOM element: the page runs this module again
// each time it runs itself.

const STEPS_KEPT = 200;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const NEW_CAPTION = "new instance";

class Editor {
  constructor(root) {
    this.root = root;
    this.part = (name) => root.querySelector(`[data-part="${name}"]`);
    this.items = []; // instances, each with an id of its own; never changed in place, nor is the array
    this.kept = this.items; // the instances that the page has
    this.applied = []; // as JSON, until the page hands them in again
    this.nextId = 0;
    this.selected = null;
    this.tool = "select";
    this.brush = 32; // diameter in pixels of the picture
    this.past = [];
    this.future = [];
    this.step = null; // what the last step was about: key presses and letters in a row are one step
    this.gesture = null;
    this.painted = null; // {id, bitmap} while the brush is down
    this.message = "";
    this.listen();
  }

  get chosen() {
    return this.items.find((item) => item.id === this.selected) ?? null;
  }

  get screen() {
    const { clientWidth: width, clientHeight: height } = this.part("stage");
    return { width, height };
  }

  // What the page hands in: a picture and instances. Instances that differ from the last ones replace what is here.
  load({ picture, width, height, instances, maxInstances }) {
    Object.assign(this, { size: { width, height }, maxInstances });
    this.root.style.setProperty("--aspect", width / height);
    this.part("picture").hidden = !picture;
    if (picture) this.part("picture").src = picture;
    const source = JSON.stringify(instances);
    const echo = this.applied.indexOf(source); // what was applied here comes back, maybe after further edits
    if (echo >= 0) this.applied.splice(0, echo + 1);
    else if (source !== this.source && source !== JSON.stringify(this.result())) {
      const before = this.snapshot();
      this.leave();
      this.items = instances.map((instance, id) => ({ id, ...instance }));
      this.nextId = Math.max(this.nextId, instances.length);
      if (!this.chosen) this.selected = null;
      if (this.source) this.remember(before);
      this.kept = this.items;
    }
    this.source = source;
    draw(this);
  }

  result() {
    return this.items.map(({ id, ...instance }) => instance);
  }

  apply() {
    const nameless = this.items.find(({ caption, category }) => !caption && !category);
    if (nameless) {
      this.select(nameless.id);
      this.part("caption").focus();
      return this.say("This instance needs a caption or a category.");
    }
    this.kept = this.items;
    this.applied.push(JSON.stringify(this.result()));
    this.send("applied", { instances: this.result() });
    this.say("Applied.");
  }

  // --- changes

  add() {
    if (this.items.length >= this.maxInstances) {
      this.say(`There is room for ${this.maxInstances} instances.`);
      return null;
    }
    const places = { box: null, point: null, scribble: null, mask: null };
    const item = { id: this.nextId++, caption: NEW_CAPTION, category: "", ...places };
    this.items = [...this.items, item];
    this.selected = item.id;
    return item.id;
  }

  change(id, changes) {
    this.items = this.items.map((item) => (item.id === id ? { ...item, ...changes } : item));
    draw(this);
  }

  // One change as one step of the history; changes about the same thing in a row are one step together.
  edit(changes, about = null) {
    const before = this.snapshot();
    this.change(this.selected, changes);
    this.remember(before, about);
  }

  delete() {
    if (!this.chosen) return;
    const before = this.snapshot();
    this.items = this.items.filter((item) => item !== this.chosen);
    this.selected = null;
    this.remember(before);
  }

  select(id) {
    if (id !== this.selected) this.step = null;
    this.selected = id;
    this.message = "";
    draw(this);
  }

  use(tool) {
    this.tool = tool;
    this.message = "";
    this.part("ring").hidden = true;
    draw(this);
  }

  say(message) {
    this.message = message;
    draw(this);
  }

  // --- history

  snapshot() {
    return { items: this.items, selected: this.selected };
  }

  remember(before, about = null) {
    if (about === null || about !== this.step) this.past = [...this.past, before].slice(-STEPS_KEPT);
    this.step = about;
    this.future = [];
    this.message = "";
    draw(this);
  }

  travel(from, to) {
    this.leave();
    if (!from.length) return;
    to.push(this.snapshot());
    Object.assign(this, from.pop());
    this.step = null;
    this.say("");
  }

  undo() {
    this.travel(this.past, this.future);
  }

  redo() {
    this.travel(this.future, this.past);
  }

  // --- pointer

  at({ clientX, clientY }) {
    const { left, top, width, height } = this.part("masks").getBoundingClientRect();
    const x = onPixel(within((clientX - left) / width, 0, 1), this.size.width);
    return { x, y: onPixel(within((clientY - top) / height, 0, 1), this.size.height) };
  }

  // The instances under a place, smallest first.
  under(at) {
    const area = (item) => {
      const place = placeAt(item, at, this.screen);
      const { x0, y0, x1, y1 } = place === "box" || place === "mask" ? extentOf(item) : { x0: 0, y0: 0, x1: 0, y1: 0 };
      return (x1 - x0) * (y1 - y0);
    };
    return this.items.filter((item) => placeAt(item, at, this.screen)).sort((a, b) => area(a) - area(b));
  }

  press(event) {
    if (event.button !== 0 || this.gesture) return;
    event.preventDefault();
    const stage = this.part("stage");
    stage.focus({ preventScroll: true });
    stage.setPointerCapture(event.pointerId);
    this.message = "";
    const before = this.snapshot();
    this.gesture = { before, pointer: event.pointerId, ...GESTURES[this.tool](this, this.at(event), event.target) };
    draw(this);
  }

  drag(event) {
    drawRing(this, event);
    if (this.gesture?.pointer !== event.pointerId) return;
    this.gesture.move(this.at(event));
  }

  release(event) {
    if (this.gesture?.pointer !== event.pointerId) return;
    const { before, end } = this.gesture;
    end(); // may cancel
    if (!this.gesture) return;
    this.gesture = this.painted = null;
    if (this.items === before.items) return draw(this);
    this.remember(before);
    if (this.items.length > before.items.length && this.tool === "select") this.part("caption").select();
  }

  cancel(message = "") {
    this.leave();
    this.say(message);
  }

  // Out of a gesture as if it had not begun.
  leave() {
    if (this.gesture) Object.assign(this, this.gesture.before);
    this.gesture = this.painted = null;
  }

  // --- keys

  key(event) {
    const command = event.ctrlKey || event.metaKey;
    const typing = ["caption", "category"].includes(event.target.dataset?.part);
    const action = this.actionOf(event, command, typing);
    if (!action) return;
    event.preventDefault();
    action();
  }

  actionOf({ key, shiftKey, target }, command, typing) {
    const letter = key.toLowerCase();
    if (key === "Escape") return () => (typing ? this.part("stage").focus() : this.escape());
    if (typing) return null;
    if (command && letter === "z") return () => (shiftKey ? this.redo() : this.undo());
    if (command && letter === "y") return () => this.redo();
    if (key === "Delete" || key === "Backspace") return () => this.delete();
    if (ARROWS[key] && this.chosen && target.type !== "range") return () => this.nudge(ARROWS[key], shiftKey ? 10 : 1);
    return null;
  }

  escape() {
    if (this.gesture) this.cancel("Cancelled.");
    else if (this.tool !== "select") this.use("select");
    else this.select(null);
  }

  nudge([right, down], pixels) {
    const { width, height } = this.size;
    const changes = moved(this.chosen, (right * pixels) / width, (down * pixels) / height, this.size);
    this.edit(changes, `nudge ${this.selected}`);
  }

  // --- wiring

  listen() {
    const { root, part } = this;
    const on = (name, type, action) => part(name).addEventListener(type, action);
    on("stage", "pointerdown", (event) => this.press(event));
    on("stage", "pointermove", (event) => this.drag(event));
    on("stage", "pointerup", (event) => this.release(event));
    on("stage", "pointercancel", () => this.cancel());
    on("stage", "pointerleave", () => (this.part("ring").hidden = true));
    on("brush", "input", (event) => {
      this.brush = Number(event.target.value);
      draw(this);
    });
    for (const name of ["undo", "redo", "delete", "apply"]) on(name, "click", () => this[name]());
    on("new", "click", () => {
      this.select(null);
      this.use("box");
    });
    on("list", "click", (event) => {
      const row = event.target.closest("button");
      if (row) this.select(Number(row.dataset.id));
    });
    for (const name of ["caption", "category"]) {
      on(name, "input", (event) => this.edit({ [name]: event.target.value }, `${name} ${this.selected}`));
      on(name, "blur", () => (this.step = null));
    }
    for (const place of PLACES) on(`remove-${place}`, "click", () => this.edit({ [place]: null }));
    for (const button of root.querySelectorAll("[data-tool]")) {
      button.addEventListener("click", () => this.use(button.dataset.tool));
    }
    root.addEventListener("keydown", (event) => {
      this.key(event);
      event.stopPropagation(); // letters typed here are no shortcuts of the page
    });
    new ResizeObserver(() => this.size && draw(this)).observe(part("stage"));
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".editor");
  root.editor ??= new Editor(root);
  root.editor.send = setTriggerValue;
  root.editor.load(data);
}
