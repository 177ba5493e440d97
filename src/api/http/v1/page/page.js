// Room: api. Owns the page that shows the API's document in a browser, and tries its operations.

/** An element with text or children; no text ever becomes HTML. */
function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const api = await (await fetch("openapi.json")).json();

/** A reference to a component, followed. */
const resolved = (value) =>
  value.$ref === undefined
    ? value
    : value.$ref
        .slice(2)
        .split("/")
        .reduce((at, name) => at[name], api);

function fieldsOf(operation) {
  const parameters = (operation.parameters ?? []).map(resolved);
  const fields = parameters.map(({ name, in: place, required, description }) => ({
    place,
    name,
    input: element("input", { name, required: required === true, placeholder: description ?? place }),
  }));
  const schema = operation.requestBody?.content["application/json"].schema;
  if (schema === undefined) return fields;
  const example = Object.fromEntries((schema.required ?? []).map((name) => [name, ""]));
  const text = JSON.stringify(example, null, 2);
  const title = JSON.stringify(schema.properties, null, 2);
  return [...fields, { place: "body", name: "body", input: element("textarea", { rows: 4, value: text, title }) }];
}

function requestOf(path, method, fields) {
  const given = fields.filter(({ input }) => input.value !== "");
  const at = (place) => given.filter((field) => field.place === place);
  const query = new URLSearchParams(at("query").map(({ name, input }) => [name, input.value]));
  const headers = new Headers(at("header").map(({ name, input }) => [name, input.value]));
  const [body] = at("body");
  if (body !== undefined) headers.set("content-type", "application/json");
  const filled = at("path").reduce(
    (text, { name, input }) => text.replace(`{${name}}`, encodeURIComponent(input.value)),
    path,
  );
  const url = query.size === 0 ? filled : `${filled}?${query}`;
  return new Request(url, { method: method.toUpperCase(), headers, body: body?.input.value });
}

async function shown(answer) {
  const text = await answer.text();
  const isJson = /json/.test(answer.headers.get("content-type") ?? "");
  const body = isJson && text !== "" ? JSON.stringify(JSON.parse(text), null, 2) : text;
  const headers = [...answer.headers].map(([name, value]) => `${name}: ${value}`);
  return [`${answer.status} ${answer.statusText}`, ...headers, "", body].join("\n");
}

function formOf(path, method, operation) {
  const fields = fieldsOf(operation);
  const output = element("pre", { hidden: true, tabIndex: 0 });
  const send = async (event) => {
    event.preventDefault();
    output.hidden = false;
    output.textContent = "…";
    output.textContent = await fetch(requestOf(path, method, fields)).then(shown, String);
  };
  const rows = fields.flatMap(({ name, input }) => {
    const id = `${method} ${path} ${name}`.replaceAll(" ", "-");
    return [element("label", { htmlFor: id }, name), Object.assign(input, { id })];
  });
  const form = element("form", {}, ...rows, element("button", {}, "Send"), output);
  form.addEventListener("submit", send);
  return form;
}

const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);
const byTag = Map.groupBy(operations, ({ operation }) => operation.tags[0]);
const sections = [...byTag].map(([tag, listed]) =>
  element(
    "section",
    {},
    element("h2", {}, tag),
    ...listed.map(({ path, method, operation }) => {
      const title = element(
        "summary",
        {},
        element("code", {}, `${method.toUpperCase()} ${path}`),
        ` ${operation.summary}`,
      );
      return element("details", {}, title, formOf(path, method, operation));
    }),
  ),
);
document.getElementById("operations").replaceChildren(...sections);
