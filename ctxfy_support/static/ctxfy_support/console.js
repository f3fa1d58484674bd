// Sends a request from the page and shows what came back: status, time, headers, body.
"use strict";

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

const requestConsole = (() => {
  const TIMEOUT_MS = 30_000;
  const LITERAL = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[\da-f]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.])|true|false|null/iy;

  // Where a text stops being JSON, as {line, column}. Not every browser's error says it.
  function findMistake(text) {
    let at = 0;
    function take(pattern) {
      at += text.slice(at).match(/^[ \t\r\n]*/)[0].length;
      pattern.lastIndex = at;
      const found = pattern.test(text);
      if (found) at = pattern.lastIndex;
      return found;
    }
    const need = (found) => {
      if (!found) throw new SyntaxError();
    };
    function takeItems(close, takeItem) {
      if (take(close)) return;
      do takeItem();
      while (take(/,/y));
      need(take(close));
    }
    function takeValue() {
      if (take(/\[/y)) takeItems(/\]/y, takeValue);
      else if (take(/\{/y)) takeItems(/\}/y, takePair);
      else need(take(LITERAL));
    }
    function takePair() {
      need(text.slice(at).trimStart().startsWith('"') && take(LITERAL) && take(/:/y));
      takeValue();
    }
    try {
      takeValue();
      take(/$/y);
    } catch {
      // `at` is where it stopped.
    }
    const lines = text.slice(0, at).split("\n");
    return { line: lines.length, column: lines.at(-1).length + 1 };
  }

  // The form for an operation; its inputs say by data-in where in a request they stand.
  function makeForm({ id, parameters, examples, needsKey }) {
    const controls = parameters.map(({ name, place, required, default: placeholder }) => {
      const label = make("label", { for: `${id}-${name}` }, make("code", {}, name));
      if (required) label.append(" ", make("span", { class: "required" }, "required"));
      const head = make("div", { class: "control-head" }, label);
      if (name === "Idempotency-Key") {
        head.append(make("button", { class: "chip", type: "button", "data-make-key": true }, "Make one up"));
      }
      const input = make("input", {
        ...{ id: `${id}-${name}`, name, placeholder, "data-in": place, type: "text" },
        ...{ autocomplete: "off", spellcheck: "false", required, "aria-required": required && "true" },
      });
      return make("div", { class: "control" }, head, input);
    });
    const bodies = Object.entries(examples).map(([name, value]) => [name, JSON.stringify(value, null, 2)]);
    if (bodies.length) {
      const chips = bodies.map(([name, text]) =>
        make("button", { class: "chip", type: "button", "data-example": text }, name),
      );
      const area = { id: `${id}-body`, name: "body", rows: "6", autocomplete: "off", spellcheck: "false" };
      const control = make("div", { class: "control" }, make("label", { for: area.id }, "Body"));
      if (chips.length > 1) control.append(make("div", { class: "actions" }, ...chips));
      control.append(
        make("textarea", area, bodies[0][1]),
        make("p", { class: "field-note", role: "status" }),
      );
      controls.push(control);
    }
    const hint = needsKey ? "Sends a real request with your key." : "Sends a real request; no key needed.";
    const actions = make("div", { class: "actions" }, make("button", { class: "button primary" }, "Send"));
    actions.append(make("span", { class: "small" }, hint));
    const alert = make("p", { class: "field-error", role: "alert" });
    return make("form", { novalidate: true }, ...controls, actions, alert);
  }

  // {status, phrase, milliseconds, bytes, headers, text}; throws if no answer came.
  async function send({ method, url, headers, text, needsKey, key }) {
    const started = performance.now();
    const response = await fetch(url, {
      method,
      headers: needsKey ? [...headers, ["Authorization", `Bearer ${key}`]] : headers,
      body: text || undefined,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const body = await response.arrayBuffer();
    return {
      status: response.status,
      phrase: response.statusText,
      milliseconds: Math.max(1, Math.round(performance.now() - started)),
      bytes: body.byteLength,
      headers: response.headers,
      text: new TextDecoder().decode(body),
    };
  }

  function describeFailure(error) {
    if (error.name === "TimeoutError") return `No answer within ${TIMEOUT_MS / 1000} seconds.`;
    return "No answer: the service could not be reached, or the connection broke.";
  }

  function showBody({ headers, text }) {
    if (!text) return make("p", { class: "small" }, "No body; the status says it all.");
    const isJSON = (headers.get("Content-Type") ?? "").startsWith("application/json");
    const code = make("code", {}, isJSON ? JSON.stringify(JSON.parse(text), null, 2) : text);
    if (isJSON) samples.highlight(code);
    return make("pre", { tabindex: "0", "aria-label": "Body of the answer" }, code);
  }

  function showHeaders(headers) {
    const rows = [...headers].map(([name, value]) =>
      make("div", {}, make("dt", {}, name), make("dd", {}, value)),
    );
    const summary = make("summary", {}, `${rows.length} headers`);
    return make("details", {}, summary, make("dl", { class: "headers" }, ...rows));
  }

  // Show an answer; `visit` opens a Location on this page, if there is a console for it.
  function show(target, answer, visit) {
    const { status, phrase, milliseconds, bytes, headers } = answer;
    const measures = [`${milliseconds} ms`, `${bytes} bytes`].map((text) =>
      make("span", { class: "small" }, text),
    );
    const badge = make("span", { class: `status s${String(status)[0]}` }, String(status));
    const head = make("p", { class: "actions result-head" }, badge, make("strong", {}, phrase), ...measures);
    target.replaceChildren(head, showBody(answer), showHeaders(headers));
    const note = (...parts) => target.append(make("p", { class: "small" }, ...parts));
    const open = visit(headers.get("Location"));
    if (open) {
      const button = make("button", { class: "chip", type: "button" }, `${open.title} at its Location`);
      button.addEventListener("click", open.go);
      note(button);
    }
    if (document.getElementById(`error-${status}`)) {
      note(make("a", { href: `#error-${status}` }, `What ${status} means`));
    }
    const remaining = headers.get("X-RateLimit-Remaining");
    if (remaining !== null) {
      note(`${remaining} of ${headers.get("X-RateLimit-Limit")} requests left in this minute.`);
    }
    target.hidden = false;
  }

  function showFailure(target, error) {
    target.replaceChildren(make("p", { class: "failure" }, describeFailure(error)));
    target.hidden = false;
  }

  return { findMistake, makeForm, send, show, showFailure, describeFailure };
})();
