// Requests as code in five languages, and code in colours. Knows nothing of the page.
//
// A request is {method, url, headers: [[name, value]], body, needsKey, key}: `body` is any JSON
// value, undefined for none; without a `key` the code reads API_KEY from the environment. The
// templates are the server's (reference/samples.py), so that both write the same.
"use strict";

const samples = (() => {
  const { names, words, templates } = JSON.parse(document.querySelector("#announcer").dataset.languages);
  const languages = Object.entries(names).map(([id, name]) => ({ id, name }));

  function writeString(language, text) {
    // "#{" would interpolate.
    if (language === "ruby") return JSON.stringify(text).replaceAll("#", "\\#");
    if (language !== "sh") return JSON.stringify(text);
    // Within double quotes where nothing means anything to a shell.
    return /^[\w :/.?&=%+,;@-]*$/.test(text) ? `"${text}"` : `'${text.replaceAll("'", `'\\''`)}'`;
  }

  function writeBody(language, body, pad) {
    const text = JSON.stringify(body, null, language === "python" ? 4 : 2);
    if (language === "go" && !text.includes("`")) return `\`${text}\``;
    if (language === "go" || language === "sh") return writeString(language, text);
    return text
      .replace(/"(?:[^"\\]|\\.)*"|\b(?:null|true|false)\b/g, (token) => {
        if (token[0] !== '"') return words[language]?.[token] ?? token;
        return language === "ruby" ? token.replaceAll("#", "\\#") : token;
      })
      .replaceAll("\n", `\n${pad}`);
  }

  function write(language, { method, url, headers, body, needsKey, key }) {
    const conditions = {
      env: needsKey && !key,
      given: needsKey && key,
      headers: needsKey || headers.length,
      body: body !== undefined,
      bodiless: body === undefined,
      get: method === "GET",
      delete: method === "DELETE",
      send: !["GET", "DELETE"].includes(method),
    };
    const fill = (line, name = "", value = "") =>
      line.replace(/«(\w+)»/g, (_, slot) => {
        if (slot === "body") return writeBody(language, body, line.match(/^\s*/)[0]);
        if (slot === "method") return method;
        if (slot === "Method") return method[0] + method.slice(1).toLowerCase();
        const bearer = `Bearer ${key}`;
        const texts = { url, name, value, header: `${name}: ${value}`, bearer };
        return writeString(language, texts[slot] ?? `Authorization: ${bearer}`);
      });
    const lines = [];
    for (const row of templates[language].trimEnd().split("\n")) {
      const [, condition, line] = row.match(/^(?:@(\w+) ?)?(.*)$/);
      if (condition === "header") lines.push(...headers.map((header) => fill(line, ...header)));
      else if (!condition || conditions[condition]) lines.push(fill(line));
    }
    return lines.join("\n").replace(/[ \\]+$/, "");
  }

  // One grammar for all: what it takes for a comment, a name or a word is one in each of them.
  const KEYWORDS = "async await const defer do end for func function if import null None nil not package raise rescue require return throw true True false False unless while";
  const TOKENS = new RegExp(
    [
      String.raw`(?<comment>(?<=^|\s)(?:#|//) .*)`,
      String.raw`(?<name>"(?:[^"\\\n]|\\.)*"(?=:)|^[\w-]+(?=: ))`,
      String.raw`(?<string>"(?:#\{[^}]*\}|[^"\\\n]|\\.)*"|'[^'\n]*'|` + "`[^`]*`)",
      String.raw`(?<keyword>^HTTP/1\.1 \d+.*|^(?:GET|POST|PATCH|DELETE) /.*|\bcurl\b|(?<=\s)-\w+(?=\s)|\b(?:${KEYWORDS.replaceAll(" ", "|")})\b)`,
      String.raw`(?<number>\b\d[\d_.]*\b)`,
    ].join("|"),
    "gm",
  );

  // Colour the text of an element; it stays the same text.
  function highlight(element) {
    const text = element.textContent;
    const parts = [];
    let end = 0;
    for (const match of text.matchAll(TOKENS)) {
      const token = document.createElement("span");
      token.className = `t-${Object.entries(match.groups).find(([, found]) => found)[0]}`;
      token.textContent = match[0];
      parts.push(text.slice(end, match.index), token);
      end = match.index + match[0].length;
    }
    element.replaceChildren(...parts, text.slice(end));
  }

  return { languages, write, highlight };
})();
