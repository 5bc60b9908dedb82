// The editor by itself, as a component of a page.

export default function ({ parentElement, data, setStateValue }) {
  const root = parentElement.querySelector(".editor");
  root.editor ??= new Editor(root);
  root.editor.send = setStateValue;
  root.editor.load(data);
}
