// Words are set as text alone, so that markup in them stays text.

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function frame(card) {
  const place = element("div", "frame");
  if (card.picture) {
    const image = element("img");
    image.src = card.picture;
    image.alt = card.title.slice(0, 100);
    place.append(image);
  } else {
    place.append(element("span", "", card.problem ? "cannot be read" : "no picture yet"));
  }
  return place;
}

function body(card, open) {
  const whole = element(card.address ? "a" : "div");
  if (card.address) {
    whole.href = card.address;
    whole.dataset.focus = `open ${card.name}`;
    whole.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // the browser opens another tab
      event.preventDefault();
      open(card.name);
    });
  }
  whole.title = [card.whole, card.problem].filter(Boolean).join("\n");
  whole.append(frame(card), element("p", "title", card.title), element("p", "line", card.line));
  if (card.tags.length) whole.append(element("p", "tags", card.tags.map((tag) => `#${tag}`).join(" ")));
  if (card.problem) whole.append(element("p", "problem", card.problem));
  return whole;
}

function marks(card, chosen, { choose, star }, stars) {
  const bar = element("div", "marks");
  const box = element("input");
  box.type = "checkbox";
  box.checked = chosen.has(card.name);
  box.dataset.focus = `choose ${card.name}`;
  box.setAttribute("aria-label", `choose ${card.title}`);
  box.addEventListener("change", () => choose(card.name, box.checked));
  bar.append(box);
  if (stars && !card.chosen_only) {
    const button = element("button", "", card.starred ? "★" : "☆");
    button.type = "button";
    button.dataset.focus = `star ${card.name}`;
    button.title = card.starred ? "Take the star away" : "Give it a star";
    button.setAttribute("aria-label", `star ${card.title}`);
    button.setAttribute("aria-pressed", String(card.starred));
    button.addEventListener("click", () => star(card.name));
    bar.append(button);
  }
  return bar;
}

export default function ({ parentElement, data, setStateValue, setTriggerValue }) {
  const grid = parentElement.querySelector(".cards");
  const chosen = (grid.chosen ??= new Set()); // it lives with the element: the page runs this again each time
  const actions = {
    open: (name) => setTriggerValue("opened", name),
    star: (name) => setTriggerValue("star", name),
    choose: (name, isChosen) => {
      if (isChosen) chosen.add(name);
      else chosen.delete(name);
      setStateValue("chosen", [...chosen]);
    },
  };
  const focused = grid.getRootNode().activeElement?.dataset.focus;
  grid.replaceChildren(
    ...data.cards.map((card) => {
      const place = element("div", "card");
      place.append(body(card, actions.open));
      const isMarked = data.choice && (card.address || card.chosen_only);
      if (isMarked) place.append(marks(card, chosen, actions, data.stars));
      return place;
    }),
  );
  if (focused) [...grid.querySelectorAll("[data-focus]")].find((it) => it.dataset.focus === focused)?.focus();
}
