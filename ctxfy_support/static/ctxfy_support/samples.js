// Requests as code in five languages, and code in colours. Knows nothing of the page.
//
// A request is {method, url, headers: [[name, value]], body, needsKey, key}: `body` is any JSON
// value, undefined for none; without a `key` the code reads API_KEY from the environment.
"use strict";

const samples = (() => {
  const isName = (text) => /^[A-Za-z_]\w*$/.test(text);

  // Within double quotes where nothing means anything to a shell, else within single quotes.
  function quoteForShell(text) {
    if (/^[\w :/.?&=%+,;@-]*$/.test(text)) return `"${text}"`;
    return `'${text.replaceAll("'", `'\\''`)}'`;
  }

  // A JSON value as a literal of `language`, its lines indented to stand after `pad`.
  function writeLiteral(value, language, pad = "") {
    if (typeof value === "string") return language.string(value);
    if (value === null || typeof value !== "object") return language.words[value] ?? String(value);
    const inner = pad + language.step;
    const [open, close] = Array.isArray(value) ? "[]" : "{}";
    const items = Array.isArray(value)
      ? value.map((item) => writeLiteral(item, language, inner))
      : Object.entries(value).map(
          ([name, item]) => language.key(name) + writeLiteral(item, language, inner),
        );
    if (!items.length) return open + close;
    const last = language.trailingComma ? "," : "";
    return `${open}\n${inner}${items.join(`,\n${inner}`)}${last}\n${pad}${close}`;
  }

  const PYTHON = {
    step: "    ",
    trailingComma: true,
    words: { null: "None", true: "True", false: "False" },
    string: JSON.stringify,
    key: (name) => `${JSON.stringify(name)}: `,
  };
  const JAVASCRIPT = {
    step: "  ",
    trailingComma: true,
    words: {},
    string: JSON.stringify,
    key: (name) => `${isName(name) ? name : JSON.stringify(name)}: `,
  };
  const RUBY = {
    step: "  ",
    trailingComma: false,
    words: { null: "nil" },
    // "#{" would interpolate.
    string: (text) => JSON.stringify(text).replaceAll("#", "\\#"),
    key: (name) => `${isName(name) ? name : RUBY.string(name)}: `,
  };

  function writeCurl({ method, url, headers, body, needsKey, key }) {
    const options = { GET: "", DELETE: "-i -X DELETE " }[method] ?? `-X ${method} `;
    const lines = [`curl ${options}${quoteForShell(url)}`];
    for (const [name, value] of headers) lines.push(`-H ${quoteForShell(`${name}: ${value}`)}`);
    if (needsKey) lines.push(`-H "Authorization: Bearer ${key ?? "$API_KEY"}"`);
    if (body !== undefined) lines.push(`-d ${quoteForShell(JSON.stringify(body, null, 2))}`);
    return lines.join(" \\\n  ");
  }

  function writePython({ method, url, headers, body, needsKey, key }) {
    const bearer = key ? `"Bearer ${key}"` : "f\"Bearer {os.environ['API_KEY']}\"";
    const rows = headers
      .filter(([name]) => name !== "Content-Type")
      .map(([name, value]) => `        ${PYTHON.string(name)}: ${PYTHON.string(value)},\n`);
    if (needsKey) rows.unshift(`        "Authorization": ${bearer},\n`);
    const lines = [`    ${PYTHON.string(url)},`];
    if (rows.length) lines.push(`    headers={\n${rows.join("")}    },`);
    if (body !== undefined) lines.push(`    json=${writeLiteral(body, PYTHON, "    ")},`);
    return `${needsKey && !key ? "import os\n\n" : ""}import requests  # pip install requests

response = requests.${method.toLowerCase()}(
${lines.join("\n")}
    timeout=30,
)
if not response.ok:
    raise SystemExit(f"{response.status_code}: {response.text}")
print(response.status_code, response.text)
`;
  }

  function writeJavaScript({ method, url, headers, body, needsKey, key }) {
    const rows = headers.map(
      ([name, value]) => `      ${JSON.stringify(name)}: ${JSON.stringify(value)},\n`,
    );
    if (needsKey) {
      const bearer = key ? `"Bearer ${key}"` : "`Bearer ${process.env.API_KEY}`";
      rows.unshift(`      "Authorization": ${bearer},\n`);
    }
    const lines = [`    method: "${method}",`];
    if (rows.length) lines.push(`    headers: {\n${rows.join("")}    },`);
    if (body !== undefined) {
      lines.push(`    body: JSON.stringify(${writeLiteral(body, JAVASCRIPT, "    ")}),`);
    }
    return `async function main() {
  const response = await fetch(${JSON.stringify(url)}, {
${lines.join("\n")}
    signal: AbortSignal.timeout(30_000),
  });
  const answer = await response.text();
  if (!response.ok) throw new Error(\`\${response.status}: \${answer}\`);
  console.log(response.status, answer);
}

main();
`;
  }

  function writeGo({ method, url, headers, body, needsKey, key }) {
    const text = body === undefined ? "" : JSON.stringify(body, null, 2);
    const literal = text.includes("`") ? JSON.stringify(text) : `\`${text}\``;
    const imports = ["fmt", "io", "log", "net/http", "time"];
    if (needsKey && !key) imports.push("os");
    if (text) imports.push("strings");
    const set = (name, value) => `\trequest.Header.Set(${JSON.stringify(name)}, ${value})\n`;
    const rows = headers.map(([name, value]) => set(name, JSON.stringify(value)));
    if (needsKey) {
      rows.unshift(set("Authorization", key ? `"Bearer ${key}"` : '"Bearer "+os.Getenv("API_KEY")'));
    }
    return `package main

import (
${imports.sort().map((name) => `\t"${name}"\n`).join("")})

func main() {
${text ? `\tbody := strings.NewReader(${literal})\n` : ""}\trequest, err := http.NewRequest("${method}", ${JSON.stringify(url)}, ${text ? "body" : "nil"})
	if err != nil {
		log.Fatal(err)
	}
${rows.join("")}
	client := http.Client{Timeout: 30 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	if response.StatusCode >= 400 {
		log.Fatalf("%s: %s", response.Status, answer)
	}
	fmt.Println(response.StatusCode, string(answer))
}
`;
  }

  function writeRuby({ method, url, headers, body, needsKey, key }) {
    const kind = method[0] + method.slice(1).toLowerCase();
    const rows = headers.map(([name, value]) => `${RUBY.string(name)} => ${RUBY.string(value)}`);
    if (needsKey) {
      rows.unshift(`"Authorization" => "Bearer ${key ?? '#{ENV.fetch("API_KEY")}'}"`);
    }
    const set = rows.length ? `(\n  uri,\n  ${rows.join(",\n  ")}\n)` : "(uri)";
    const json = body === undefined ? "" : `request.body = JSON.generate(${writeLiteral(body, RUBY)})\n`;
    return `${json ? 'require "json"\n' : ""}require "net/http"

uri = URI(${RUBY.string(url)})
request = Net::HTTP::${kind}.new${set}
${json}
response = Net::HTTP.start(uri.host, uri.port, use_ssl: uri.scheme == "https") do |http|
  http.request(request)
end
abort "#{response.code}: #{response.body}" unless response.is_a?(Net::HTTPSuccess)
puts response.code, response.body
`;
  }

  const STRINGS = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\]|\\.)*'/;
  const NUMBER = /\b\d[\d_.]*\b/;
  const words = (text) => new RegExp(`\\b(?:${text.replaceAll(" ", "|")})\\b`);
  const GRAMMARS = {
    json: {
      name: /"(?:[^"\\]|\\.)*"(?=\s*:)/,
      string: /"(?:[^"\\]|\\.)*"/,
      number: /-?\b\d[\d.eE+-]*/,
      keyword: /\b(?:true|false|null)\b/,
    },
    http: {
      keyword: /^(?:HTTP\/1\.1 \d+.*|(?:GET|POST|PATCH|DELETE) .*)$/m,
      name: /^[\w-]+(?=:)|"(?:[^"\\]|\\.)*"(?=\s*:)/m,
      string: /"(?:[^"\\]|\\.)*"/,
    },
    curl: { string: STRINGS, keyword: /\bcurl\b|(?<=\s)-\w+(?=\s)/ },
    python: {
      comment: /#.*/,
      string: /f?"(?:[^"\\\n]|\\.)*"/,
      keyword: words("import if not raise True False None"),
      number: NUMBER,
    },
    javascript: {
      string: /"(?:[^"\\\n]|\\.)*"|`[^`]*`/,
      keyword: words("async await function const if throw new true false null"),
      number: NUMBER,
    },
    go: {
      string: /"(?:[^"\\\n]|\\.)*"|`[^`]*`/,
      keyword: words("package import func if nil defer err"),
      number: NUMBER,
    },
    ruby: {
      string: /"(?:#\{[^}]*\}|[^"\\\n]|\\.)*"/,
      keyword: words("require do end unless abort puts nil true false"),
      number: NUMBER,
    },
  };

  // Colour the text of an element; it stays the same text.
  function highlight(element, language) {
    const grammar = GRAMMARS[language];
    if (!grammar) return;
    const text = element.textContent;
    const kinds = Object.keys(grammar);
    const pattern = new RegExp(kinds.map((kind) => `(${grammar[kind].source})`).join("|"), "gm");
    const parts = [];
    let end = 0;
    for (const match of text.matchAll(pattern)) {
      const token = document.createElement("span");
      token.className = `t-${kinds[match.slice(1).findIndex((group) => group !== undefined)]}`;
      token.textContent = match[0];
      parts.push(text.slice(end, match.index), token);
      end = match.index + match[0].length;
    }
    element.replaceChildren(...parts, text.slice(end));
  }

  const languages = [
    { id: "curl", name: "curl", write: writeCurl },
    { id: "python", name: "Python", write: writePython },
    { id: "javascript", name: "JavaScript", write: writeJavaScript },
    { id: "go", name: "Go", write: writeGo },
    { id: "ruby", name: "Ruby", write: writeRuby },
  ];
  return { languages, highlight };
})();
