// Fetches the open page again when something has changed, and morphs it: the focus, what is unfolded and what is being
// filled in stay. Without it, the page is as complete, and as old as its footer says. Idiomorph stands above in this file.

const leastMs = 1_000;
const retryMs = 10_000;
/** The server says something every five seconds. Of a tunnel or a network that is gone, a browser learns nothing. */
const silenceMs = 15_000;

const { follows = "" } = document.body.dataset;
let source;
let isWanted = false;
let isFetching = false;
let fetchedAtMs = performance.now();
let heardAtMs = performance.now();

const editable = "input:not([type=hidden]), select, textarea";

function isChanged(field) {
  if (field.matches("select")) return [...field.options].some((option) => option.selected !== option.defaultSelected);
  if (field.matches("[type=checkbox], [type=radio]")) return field.checked !== field.defaultChecked;
  return field.value !== field.defaultValue;
}

/** Whether somebody is in the middle of something that a change of the page would disturb. */
function isBusy() {
  if (document.querySelector("dialog[open], details.action[open]") !== null) return true;
  if (document.activeElement?.matches(editable)) return true;
  if ([...document.querySelectorAll(editable)].some(isChanged)) return true;
  return !(document.getSelection()?.isCollapsed ?? true);
}

function tell(state) {
  const place = document.querySelector("[data-live=state]");
  if (place !== null && place.textContent !== state) place.textContent = state;
}

const callbacks = {
  beforeNodeMorphed: (old) => !(old instanceof Element && old.matches("[data-live]")),
  beforeNodeRemoved: (old) => !(old instanceof Element && old.id === "flash"),
  beforeAttributeUpdated: (name, element) => !(name === "open" && element.matches("details")),
};

async function refresh() {
  isWanted = false;
  isFetching = true;
  const giveUp = new AbortController();
  const timer = setTimeout(() => giveUp.abort(), silenceMs);
  const { signal } = giveUp;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store", signal });
    if (new URL(answer.url).pathname === "/sign-in") return location.reload();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    // Somebody may have begun something meanwhile.
    if (isBusy()) isWanted = true;
    else if (answer.ok) show(page);
    else tell(`(not renewed: ${page.querySelector("h1")?.textContent ?? answer.status})`);
  } catch {
    tell("(not renewed: snapmill does not answer)");
  } finally {
    clearTimeout(timer);
    isFetching = false;
    fetchedAtMs = performance.now();
  }
}

function show(page) {
  document.title = page.title;
  Idiomorph.morph(document.body, page.body, { morphStyle: "outerHTML", restoreFocus: true, callbacks });
  tell("(renewed when something changes)");
}

function listen() {
  source?.close();
  heardAtMs = performance.now();
  source = new EventSource(`/events?follows=${follows}`);
  source.addEventListener("open", () => {
    heardAtMs = performance.now();
    tell("(renewed when something changes)");
  });
  source.addEventListener("changed", () => {
    heardAtMs = performance.now();
    isWanted = true;
  });
  source.addEventListener("error", () => {
    tell("(not renewed: the connection is lost)");
    // It comes back by itself, unless the server has refused it.
    if (source.readyState !== EventSource.CLOSED) return;
    isWanted = true;
    setTimeout(() => document.hidden || listen(), retryMs);
  });
}

/** A browser has six connections to a server: hidden pages would take them all. */
function listenWhenSeen() {
  if (document.hidden) {
    source?.close();
    return;
  }
  isWanted = true;
  listen();
}

setInterval(() => {
  if (document.hidden) return;
  if (performance.now() - heardAtMs >= silenceMs) {
    tell("(not renewed: snapmill does not answer)");
    isWanted = true;
    listen();
  } else if (isWanted && !isFetching && performance.now() - fetchedAtMs >= leastMs) {
    if (isBusy()) tell("(not renewed while you select or fill in something, or have it unfolded)");
    else void refresh();
  }
}, 200);
document.addEventListener("visibilitychange", listenWhenSeen);
addEventListener("pagehide", () => source?.close());
addEventListener("pageshow", ({ persisted }) => persisted && listenWhenSeen());

/** A second click while the first is on its way would do it twice. */
document.addEventListener("submit", (event) => {
  const { target } = event;
  if (target.method !== "post") return;
  if (target.dataset.sent !== undefined) event.preventDefault();
  target.dataset.sent = "";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

if (!document.hidden) listen();
