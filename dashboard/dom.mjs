// How everything on the page is made: elements with text in them, never markup from data.

/** An element; strings among its children become text, and whatever is no child is left out. */
export function h(name, props, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(props ?? {})) setProperty(element, key, value);
  element.append(...children.flat(Infinity).filter(isChild));
  return element;
}

/** Shows these children in a place instead of what was there. */
export function show(place, ...children) {
  place.replaceChildren(...children.flat(Infinity).filter(isChild));
}

/** The address of a view: each part of the path is encoded, whatever an id is made of. */
export function linkTo(parts, query = {}) {
  const path = parts.map(encodeURIComponent).join("/");
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const search = new URLSearchParams(given).toString();
  return `#/${path}${search === "" ? "" : `?${search}`}`;
}

function setProperty(element, key, value) {
  if (value === undefined || value === null || value === false) return;
  if (key.startsWith("on")) {
    element.addEventListener(key.slice(2), value);
    return;
  }
  // A link leads to a view of this page: nothing that came as data can name another scheme.
  if (key === "href" && !value.startsWith("#/")) throw new Error(`no view is at ${value}`);
  element.setAttribute(key, value === true ? "" : String(value));
}

function isChild(child) {
  return child !== null && child !== undefined && child !== false;
}
