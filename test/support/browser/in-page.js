// Room: test. Owns what tests run in a page before any script of its own: what only the page itself can tell.

addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI, sample }) =>
  console.error("violates the CSP:", effectiveDirective, blockedURI, sample),
);
// Of the mouse, of Enter and of the space bar alike; what a script or a label passes on is not one more.
addEventListener(
  "click",
  ({ isTrusted, target }) => isTrusted && !target.closest("label") && console.debug("a click"),
  {
    capture: true,
  },
);

const reachable = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]";
const lookOf = (element) => {
  const { outlineStyle, outlineWidth, outlineColor, boxShadow, borderColor, backgroundColor, textDecorationLine } =
    getComputedStyle(element);
  const outline = outlineStyle === "none" || outlineWidth === "0px" ? "" : `${outlineStyle} ${outlineColor}`;
  return [outline, boxShadow, borderColor, backgroundColor, textDecorationLine].join();
};
/** Of the radio buttons with one name, the keyboard stops at one. */
const stopOf = (element) => (element.type === "radio" ? `radio ${element.name}` : element);
const describe = (element) => {
  const name = element.getAttribute("aria-label") ?? (element.textContent.trim() || element.name || element.id);
  return `${element.localName} "${name.replaceAll(/\s+/g, " ").slice(0, 60)}"`;
};
const isInView = (element) => {
  const { top, left, bottom, right, width, height } = element.getBoundingClientRect();
  return width > 1 && height > 1 && bottom > 0 && right > 0 && top < innerHeight && left < innerWidth;
};

let atRest = new Map();

globalThis.snapmillTest = {
  /** What the keyboard should stop at, in the document's order; remembers how each looks without the focus. */
  stops() {
    const shown = [...document.querySelectorAll(reachable)].filter(
      (element) => element.checkVisibility({ visibilityProperty: true }) && !element.disabled && element.tabIndex >= 0,
    );
    atRest = new Map(shown.map((element) => [element, lookOf(element)]));
    return [...new Map(shown.map((element) => [stopOf(element), describe(element)])).values()];
  },
  /** Where the focus is now: the number of the stop; -1 when it is on none of them. */
  focus() {
    const element = document.activeElement;
    const numbers = [...new Set([...atRest.keys()].map(stopOf))];
    return {
      stop: numbers.indexOf(stopOf(element)),
      isVisible: lookOf(element) !== atRest.get(element),
      isInView: isInView(element),
    };
  },
};
