// The state of one editor, its history and its keys. State lives with the DOM element: the page runs this module again
// each time it runs itself.

const STEPS_KEPT = 200;
const COPIED_BY = 16; // pixels that a copy lies beside what it is of
const PAUSE_MS = 500; // in typing, until the page gets the words

class Editor {
  constructor(root) {
    this.root = root;
    this.part = (name) => root.querySelector(`[data-part="${name}"]`);
    this.pause = null; // the timer that hands over words
    this.handedSelection = -1; // the index that the page has
    this.soon = null; // the timer that hands over the selection
    this.nextId = 0;
    this.brush = 32; // diameter in pixels of the picture
    this.whole = "plan"; // what the instances are together
    this.begin();
    this.listen();
  }

  // Without a picture, and with nothing of the one before.
  begin() {
    clearTimeout(this.pause);
    this.items = []; // instances, each with an id of its own; never changed in place, nor is the array
    this.handed = null; // the instances that the page has, as JSON; null until the page has handed in the first
    this.selected = null;
    this.tool = "select";
    this.regions = []; // where nobody knows what is there
    this.hidden = new Set(); // ids of what is not shown here
    this.locked = new Set(); // ids of what cannot be moved
    this.zoom = 1;
    this.pan = { x: 0, y: 0 };
    this.holding = false; // the key that pans
    this.past = [];
    this.future = [];
    this.step = null; // what the last step was about: key presses and letters in a row are one step
    this.gesture = null;
    this.painted = null; // {id, bitmap} while the brush is down
    this.message = "";
  }

  get chosen() {
    return this.items.find((item) => item.id === this.selected) ?? null;
  }

  // Why the selected instance stays as it is; empty where it may be changed.
  get fixed() {
    const name = this.chosen && `“${nameOf(this.chosen)}”`;
    if (this.hidden.has(this.selected)) return `${name} is hidden here, and still in the ${this.whole}; H shows it.`;
    return this.locked.has(this.selected) ? `${name} is locked; L unlocks it.` : "";
  }

  // The selected instance, if it may be changed.
  get free() {
    return this.fixed ? null : this.chosen;
  }

  // What has the focus in here.
  get focused() {
    const { activeElement } = this.root.getRootNode();
    return this.root.contains(activeElement) ? activeElement : null;
  }

  get typing() {
    return FIELDS.includes(this.focused?.dataset.part);
  }

  get screen() {
    const { clientWidth: width, clientHeight: height } = this.part("view");
    return { width, height };
  }

  // What the page hands in: a picture, the instances, and what was drawn of them before the page was left, which Undo
  // takes back. They are taken once; from then on the page follows what is drawn here.
  load({ picture, width, height, instances, drawn, maxInstances, newCaption, newCategory = "", regions = [] }) {
    Object.assign(this, { size: { width, height }, maxInstances, newCaption, newCategory, regions });
    this.root.style.setProperty("--aspect", width / height);
    this.part("picture").hidden = !picture;
    if (picture) this.part("picture").src = picture;
    if (this.handed === null) {
      this.take(instances);
      const before = this.snapshot();
      if (drawn) this.take(drawn.instances);
      if (drawn) this.remember(before);
    }
    draw(this);
  }

  take(instances) {
    this.items = instances.map((instance, id) => ({ id, ...instance }));
    this.nextId = Math.max(this.nextId, instances.length);
    this.handed = JSON.stringify(instances);
  }

  result() {
    return this.items.map(({ id, ...instance }) => instance);
  }

  // Every step goes to the page at once, words when typing pauses or leaves the fields: a button of the page that is
  // pressed next finds there what is drawn here.
  hand() {
    clearTimeout(this.pause);
    const instances = this.result();
    const text = JSON.stringify(instances);
    if (text === this.handed) return;
    this.handed = text;
    this.send("drawn", { instances });
  }

  handOnPause() {
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.hand(), PAUSE_MS);
  }

  // What is selected goes to the page once the mouse is let go; -1 is nothing.
  handSelection() {
    clearTimeout(this.soon);
    this.soon = setTimeout(() => {
      const index = this.items.indexOf(this.chosen);
      if (this.gesture || index === this.handedSelection) return;
      this.handedSelection = index;
      this.send("selected", index);
    });
  }

  // --- changes

  add() {
    if (this.items.length >= this.maxInstances) {
      this.say(`There is room for ${this.maxInstances} instances.`);
      return null;
    }
    const places = { box: null, point: null, scribble: null, mask: null };
    const item = { id: this.nextId++, caption: this.newCaption, category: this.newCategory, ...places };
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

  copy() {
    if (!this.chosen) return;
    const before = this.snapshot();
    const { id, ...item } = this.chosen;
    const made = this.add();
    if (made === null) return;
    const { x1, y1 } = extentOf(item) ?? { x1: 0, y1: 0 };
    const [right, down] = [COPIED_BY / this.size.width, COPIED_BY / this.size.height];
    const own = { ...item, mask: item.mask && { ...item.mask } }; // a mask belongs to one instance
    this.change(made, moved(own, x1 + right > 1 ? -right : right, y1 + down > 1 ? -down : down, this.size));
    this.remember(before);
  }

  startNew() {
    this.select(null);
    this.use("box");
  }

  // Hide or show an instance ("hidden"), lock or unlock it ("locked"). The plan stays as it is.
  toggle(what, id) {
    if (!this.items.some((item) => item.id === id)) return;
    if (!this[what].delete(id)) this[what].add(id);
    this.say("");
  }

  help() {
    const { hidden } = this.part("help");
    this.part("help").hidden = !hidden;
    this.part("keys").setAttribute("aria-expanded", hidden);
  }

  // The key that pans goes down or up.
  hold(isHeld) {
    if (isHeld === this.holding) return;
    this.holding = isHeld;
    draw(this);
  }

  // A number of the selected box, as it is typed.
  number(name, pixels) {
    if (!this.free?.box || !Number.isFinite(pixels)) return;
    this.edit({ box: boxWith(this.free.box, name, pixels, this.size) }, `${name} ${this.selected}`);
  }

  delete() {
    if (!this.chosen) return;
    if (this.locked.has(this.selected)) return this.say(this.fixed);
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
    if (this.root.querySelector(`button[data-tool="${tool}"]`).hidden) return;
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
    if (this.typing) this.handOnPause();
    else this.hand();
    draw(this);
  }

  travel(from, to) {
    this.leave();
    if (!from.length) return;
    to.push(this.snapshot());
    Object.assign(this, from.pop());
    this.step = null;
    this.hand();
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
    const shown = this.items.filter((item) => !this.hidden.has(item.id));
    return shown.filter((item) => placeAt(item, at, this.screen)).sort((a, b) => area(a) - area(b));
  }

  press(event) {
    const isMiddle = event.button === 1;
    if ((event.button !== 0 && !isMiddle) || this.gesture) return;
    event.preventDefault();
    const stage = this.part("stage");
    stage.focus({ preventScroll: true });
    stage.setPointerCapture(event.pointerId);
    this.message = "";
    const before = this.snapshot();
    const tool = isMiddle || this.holding ? "pan" : this.tool;
    this.gesture = { before, pointer: event.pointerId, ...GESTURES[tool](this, this.at(event), event) };
    draw(this);
  }

  drag(event) {
    drawRing(this, event);
    if (this.gesture?.pointer !== event.pointerId) return;
    this.gesture.move(this.at(event), event);
  }

  release(event) {
    if (this.gesture?.pointer !== event.pointerId) return;
    const { before, end } = this.gesture;
    end(); // may cancel
    if (!this.gesture) return;
    this.gesture = this.painted = null;
    if (this.items === before.items) return draw(this);
    this.remember(before);
    const isNew = this.items.length > before.items.length && this.tool === "select";
    if (isNew) this.part(this.newCategory ? "category" : "caption").select();
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
    const action = keyAction(this, event);
    if (!action) return;
    event.preventDefault();
    action();
  }

  escape() {
    if (this.gesture) this.cancel("Cancelled.");
    else if (this.tool !== "select") this.use("select");
    else this.select(null);
  }

  nudge([right, down], pixels) {
    if (this.fixed) return this.say(this.fixed);
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
    on("stage", "mousedown", (event) => event.button === 1 && event.preventDefault()); // no scrolling by itself
    on("stage", "wheel", (event) => turn(this, event));
    on("stage", "keyup", ({ key }) => key === " " && this.hold(false));
    on("stage", "blur", () => this.hold(false));
    on("zoom-in", "click", () => zoomTo(this, this.zoom * ZOOM_STEP));
    on("zoom-out", "click", () => zoomTo(this, this.zoom / ZOOM_STEP));
    on("whole", "click", () => zoomTo(this, 1));
    on("keys", "click", () => this.help());
    on("brush", "input", (event) => {
      this.brush = Number(event.target.value);
      draw(this);
    });
    for (const name of ["undo", "redo", "copy", "delete"]) on(name, "click", () => this[name]());
    on("new", "click", () => this.startNew());
    on("list", "click", ({ target }) => {
      const { id, sign } = target.closest("button")?.dataset ?? {};
      if (sign) this.toggle(sign, Number(id));
      else if (id) this.select(Number(id));
    });
    on("show-all", "click", () => {
      this.hidden.clear();
      this.say("");
    });
    for (const name of NUMBERS) {
      on(`box-${name}`, "input", ({ target }) => this.number(name, target.valueAsNumber));
      on(`box-${name}`, "blur", () => {
        this.step = null;
        draw(this);
      });
    }
    for (const name of WORDS) {
      on(name, "input", (event) => this.edit({ [name]: event.target.value }, `${name} ${this.selected}`));
      on(name, "blur", () => (this.step = null));
    }
    on("fields", "focusout", ({ relatedTarget }) => part("fields").contains(relatedTarget) || this.hand());
    for (const place of PLACES) on(`remove-${place}`, "click", () => this.edit({ [place]: null }));
    for (const button of root.querySelectorAll("button[data-tool]")) {
      button.addEventListener("click", () => this.use(button.dataset.tool));
    }
    root.addEventListener("keydown", (event) => {
      this.key(event);
      event.stopPropagation(); // letters typed here are no shortcuts of the page
    });
    new ResizeObserver(() => this.size && draw(this)).observe(part("stage"));
  }
}
