// Pictures one after the other in the editor, each accepted or rejected with a key. What is said here is kept by the
// page, which hands in the pictures around the one that is looked at: the next one is here before it is asked for.

const HELD = 60; // pictures that stay here
const KEYS = { j: "next", k: "back", a: "accept", r: "reject", u: "undo", ArrowRight: "next", ArrowLeft: "back" };
const REPLACED = ["point", "scribble"]; // tools for places that no detector learns from

class Review {
  constructor(root) {
    this.root = root;
    this.part = (name) => root.querySelector(`[data-review="${name}"]`);
    this.editor = new Editor(root.querySelector(".editor"));
    this.editor.whole = "labels";
    this.editor.send = (name, value) => name === "drawn" && this.draw(value.instances);
    this.items = new Map(); // pictures by key, with what is on them
    this.keys = [];
    this.at = null; // the key of the picture that is looked at
    this.shown = null; // the key of the picture in the editor
    this.number = 0; // of what was said last
    this.decided = {}; // as the page knows it
    this.said = { decided: {}, drawn: {} }; // [number, what], by key: what the page has not kept yet
    this.history = []; // [key, the decision before]
    this.category = "thing"; // of the next new box
    for (const tool of REPLACED) root.querySelector(`button[data-tool="${tool}"]`).hidden = true;
    this.listen();
  }

  get item() {
    return this.items.get(this.at);
  }

  decision(key) {
    return key in this.said.decided ? this.said.decided[key][1] : (this.decided[key] ?? null);
  }

  // What the page hands in after each run.
  load({ folder, list, keys, start, number, decided, pictures, problem }) {
    if (list !== this.list) this.begin(folder, list, start);
    this.decided = decided;
    for (const what of [this.said.decided, this.said.drawn]) {
      for (const [key, [said]] of Object.entries(what)) if (said <= number) delete what[key];
    }
    this.number = Math.max(this.number, number);
    this.keys = keys;
    for (const [key, item] of Object.entries(pictures)) this.hold(key, item);
    this.part("problem").hidden = !problem;
    this.part("problem").textContent = problem;
    this.show();
    if (!this.item && this.at !== null && this.asked !== this.at) this.tell(); // it is not among those that came
  }

  // Other pictures.
  begin(folder, list, start) {
    if (folder !== this.folder) this.said = { decided: {}, drawn: {} };
    Object.assign(this, { folder, list, at: start, shown: null, history: [] });
    this.items.clear();
  }

  hold(key, item) {
    const held = this.items.get(key);
    if (held && key in this.said.drawn) item.drawn = held.drawn;
    item.image = new Image();
    item.image.src = item.picture;
    item.image.decode().catch(() => {});
    this.items.delete(key);
    this.items.set(key, item);
    for (const old of this.items.keys()) if (this.items.size > HELD && old !== this.at) this.items.delete(old);
  }

  // Tell the page what is looked at and all that it has not kept yet; it answers with the pictures that come next.
  tell() {
    const last = ({ [1]: what }) => what;
    const entries = (what) => Object.fromEntries(Object.entries(what).map(([key, said]) => [key, last(said)]));
    this.asked = this.at;
    this.send("said", {
      number: this.number,
      folder: this.folder,
      list: this.list,
      at: this.at,
      held: [...this.items.keys()],
      decided: entries(this.said.decided),
      drawn: entries(this.said.drawn),
    });
  }

  // --- what a person does

  go(key) {
    if (key === undefined || key === this.at) return;
    this.editor.hand();
    this.at = key;
    this.show();
    this.number += 1;
    this.tell();
  }

  step(count) {
    return this.keys[this.keys.indexOf(this.at) + count];
  }

  next() {
    this.go(this.step(1));
  }

  back() {
    this.go(this.step(-1));
  }

  accept() {
    this.decide("accepted");
  }

  reject() {
    this.decide("rejected");
  }

  decide(decision) {
    if (this.at === null) return;
    this.editor.hand();
    this.history.push([this.at, this.decision(this.at)]);
    this.keep("decided", this.at, decision);
    if (this.step(1) === undefined) this.tell();
    else this.next();
    this.show();
  }

  undo() {
    const last = this.history.pop();
    if (!last) return;
    const [key, before] = last;
    this.keep("decided", key, before);
    this.at = key;
    this.show();
    this.tell();
  }

  // What was drawn on the picture; as it was made where that is the same.
  draw(instances) {
    const { item } = this;
    const isSame = JSON.stringify(instances) === JSON.stringify(item.instances);
    item.drawn = isSame ? null : { instances };
    this.category = this.editor.chosen?.category || this.category;
    this.editor.newCategory = this.category;
    this.keep("drawn", this.at, item.drawn);
    this.tell();
    this.show();
  }

  restore() {
    this.item.drawn = null;
    this.keep("drawn", this.at, null);
    this.shown = null;
    this.show();
    this.tell();
  }

  keep(what, key, said) {
    this.number += 1;
    this.said[what][key] = [this.number, said];
  }

  // --- what is seen

  show() {
    const { item, keys, at } = this;
    const left = keys.filter((key) => !this.decision(key)).length;
    const decision = this.decision(at);
    this.part("place").textContent = `${keys.indexOf(at) + 1} of ${keys.length}, ${left} undecided`;
    this.part("decision").textContent = decision ?? "";
    this.part("decision").className = `decision ${decision ?? ""}`;
    for (const [name, means] of [["accept", "accepted"], ["reject", "rejected"]]) {
      this.part(name).setAttribute("aria-pressed", decision === means);
    }
    this.part("back").disabled = this.step(-1) === undefined;
    this.part("next").disabled = this.step(1) === undefined;
    this.part("undo").disabled = !this.history.length;
    this.part("restore").hidden = !item?.drawn;
    const corrected = item?.drawn ? "; corrected" : "";
    this.part("about").textContent = item ? `${at}: ${item.caption}${item.note}${corrected}` : `${at}: is being read`;
    this.root.querySelector(".editor").style.visibility = item ? "visible" : "hidden";
    if (item && this.shown !== at) this.edit(item);
  }

  edit(item) {
    this.shown = this.at;
    this.editor.begin();
    this.editor.load({ ...item, maxInstances: this.room, newCaption: "", newCategory: this.category });
  }

  // --- wiring

  listen() {
    for (const name of ["back", "next", "accept", "reject", "undo", "restore"]) {
      this.part(name).addEventListener("click", () => this[name]());
    }
    this.onKey = (event) => this.key(event);
    window.addEventListener("keydown", this.onKey, true); // before the page, which has a use for R
  }

  leave() {
    window.removeEventListener("keydown", this.onKey, true);
  }

  key(event) {
    if (!this.root.isConnected) return this.leave();
    if (event.ctrlKey || event.metaKey || event.altKey || this.editor.gesture) return;
    const target = event.composedPath()[0];
    if (target.closest?.("input:not([type=range]), textarea, select, [contenteditable], [role=dialog]")) return;
    const name = KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
    const isArrow = event.key.startsWith("Arrow");
    const isHere = target === document.body || this.root.contains(target);
    if (!name || (isArrow && (this.editor.chosen || !isHere || target.type === "range"))) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    this[name]();
  }
}

export default function ({ parentElement, data, setStateValue }) {
  const root = parentElement.querySelector(".review");
  root.review ??= new Review(root);
  root.review.send = setStateValue;
  root.review.room = data.room;
  root.review.load(data);
  return () => root.isConnected || root.review.leave();
}
