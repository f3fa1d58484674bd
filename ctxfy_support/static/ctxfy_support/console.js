// Sends a request from the page and shows what came back: status, time, headers, body.
"use strict";

const requestConsole = (() => {
  const TIMEOUT_MS = 30_000;

  function make(tag, className, ...children) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.append(...children);
    return element;
  }

  // {status, phrase, milliseconds, bytes, headers: [[name, value]], text}; throws if none came.
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
      headers: [...response.headers],
      text: new TextDecoder().decode(body),
    };
  }

  function describeFailure(error) {
    if (error.name === "TimeoutError") return `No answer within ${TIMEOUT_MS / 1000} seconds.`;
    return "No answer: the service could not be reached, or the connection broke.";
  }

  function showBody({ headers, text }) {
    const type = new Headers(headers).get("Content-Type") ?? "";
    if (!text) return make("p", "empty", "No body; the status says it all.");
    const code = make("code");
    code.textContent = text;
    if (type.startsWith("application/json")) {
      code.textContent = JSON.stringify(JSON.parse(text), null, 2);
      samples.highlight(code, "json");
    }
    const pre = make("pre", "", code);
    pre.tabIndex = 0;
    pre.setAttribute("aria-label", "Body of the answer");
    return pre;
  }

  function showHeaders(headers) {
    const rows = headers.map(([name, value]) =>
      make("div", "", make("dt", "", name), make("dd", "", value)),
    );
    const details = make("details", "", make("summary", "", `${headers.length} headers`));
    details.append(make("dl", "headers", ...rows));
    return details;
  }

  function show(target, answer) {
    const { status, phrase, milliseconds, bytes, headers } = answer;
    const head = make(
      "p",
      "result-head",
      make("span", `status s${String(status)[0]}`, String(status)),
      make("strong", "", phrase),
      make("span", "measure", `${milliseconds} ms`),
      make("span", "measure", `${bytes} bytes`),
    );
    target.replaceChildren(head, showBody(answer), showHeaders(headers));
    if (document.getElementById(`error-${status}`)) {
      const link = make("a", "", `What ${status} means`);
      link.href = `#error-${status}`;
      target.append(make("p", "small", link));
    }
    const remaining = new Headers(headers).get("X-RateLimit-Remaining");
    if (remaining !== null) {
      const limit = new Headers(headers).get("X-RateLimit-Limit");
      target.append(make("p", "small", `${remaining} of ${limit} requests left in this minute.`));
    }
    target.hidden = false;
  }

  function showFailure(target, error) {
    target.replaceChildren(make("p", "failure", describeFailure(error)));
    target.hidden = false;
  }

  return { send, show, showFailure, describeFailure };
})();
