/** The element `id` of the page. */
export const by = (id) => document.getElementById(id);

/**
 * An element. `properties` are set as they are, but for `data` (its data attributes) and `on` (its listeners); a child that is text
 * becomes text: nothing that a server or a user sends is ever markup.
 */
export function el(tag, properties = {}, ...children) {
  const { data = {}, on = {}, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  Object.assign(element.dataset, data);
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  element.append(...children);
  return element;
}

/** Whether a scrolled element shows its end, so that it should go on doing so when it grows. */
export const isAtEnd = (element) => element.scrollHeight - element.scrollTop - element.clientHeight < 40;

/** Copies a text, also where the browser offers its clipboard to secure pages only. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el("textarea", { value: text, className: "hidden" });
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}
