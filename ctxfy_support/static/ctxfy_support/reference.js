// The page's own behaviour: theme, menu, the reader's key, samples that follow the consoles' forms.
// The key lives in `apiKey` alone: it is never stored, and forgotten when the page is left.
"use strict";

const root = document.documentElement;
const select = (selector, within = document) => within.querySelector(selector);
const selectAll = (selector, within = document) => [...within.querySelectorAll(selector)];

function announce(text) {
  select("#announcer").textContent = text;
}

function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Storage is forbidden here; the choice holds until the page is left.
  }
}

// --- Theme -------------------------------------------------------------------------------------

const themeButton = select(".theme-button");
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : systemIsDark.matches;
}

function labelTheme() {
  themeButton.setAttribute("aria-label", `Switch to the ${isDark() ? "light" : "dark"} theme`);
}

themeButton.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  remember("theme", root.dataset.theme);
  labelTheme();
});
systemIsDark.addEventListener("change", labelTheme);
labelTheme();

// --- Menu and the place in it ------------------------------------------------------------------

const menuButton = select(".menu-button");

function setMenu(open) {
  root.toggleAttribute("data-menu", open);
  menuButton.setAttribute("aria-expanded", String(open));
}

menuButton.addEventListener("click", () => setMenu(!root.hasAttribute("data-menu")));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && root.hasAttribute("data-menu")) {
    setMenu(false);
    menuButton.focus();
  }
});

const links = new Map(selectAll(".side a").map((link) => [link.hash.slice(1), link]));
for (const link of links.values()) link.addEventListener("click", () => setMenu(false));

// The entry that crosses a line in the upper part of the window is the one that is being read.
const observer = new IntersectionObserver(
  (entries) => {
    const current = entries.find(({ isIntersecting }) => isIntersecting);
    const shown = current?.target.id.replace(/^error-.*/, "errors");
    if (!links.has(shown)) return;
    for (const [id, link] of links) {
      if (id === shown) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  },
  { rootMargin: "-25% 0px -75% 0px" },
);
for (const section of selectAll(".entry")) observer.observe(section);

// --- Copying -----------------------------------------------------------------------------------

// Without HTTPS there is no clipboard to write to, but a selection can still be copied.
async function copy(element) {
  if (navigator.clipboard) return navigator.clipboard.writeText(element.textContent);
  getSelection().selectAllChildren(element);
  const done = document.execCommand("copy");
  getSelection().removeAllRanges();
  if (!done) throw new Error("The browser does not let the page copy");
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest(".copy");
  if (!button) return;
  let word = "Copied";
  try {
    await copy(select(":scope > pre code, [role=tabpanel]:not([hidden]) code", button.closest(".card")));
  } catch {
    word = "Not allowed";
  }
  button.textContent = word;
  announce(word);
  setTimeout(() => (button.textContent = "Copy"), 2_000);
});

// --- The reader's key --------------------------------------------------------------------------

const keyDialog = select(".key-dialog");
const keyInput = select("#key-input");
const keyFormat = new RegExp(`^${keyInput.dataset.pattern}$`);
let apiKey = null;
let afterKey = null;

function setKey(key) {
  apiKey = key;
  const label = key ? `${key.slice(0, 12)}…` : "Use your key";
  select(".key-button").textContent = label;
  select(".key-button").setAttribute("aria-label", key ? `Your key ${label}` : label);
  select("[data-forget-key]").hidden = !key;
  keyInput.value = "";
  renderAllSamples();
}

function askForKey(then = null) {
  afterKey = then;
  select("#key-error").textContent = "";
  keyInput.removeAttribute("aria-invalid");
  keyDialog.showModal();
  keyInput.focus();
}

for (const button of selectAll("[data-open-key]")) {
  button.addEventListener("click", () => askForKey());
}
select("[data-close-key]").addEventListener("click", () => keyDialog.close());
select("[data-forget-key]").addEventListener("click", () => {
  setKey(null);
  keyDialog.close();
  announce("The key is forgotten");
});
keyDialog.addEventListener("close", () => (keyInput.value = ""));
select("form", keyDialog).addEventListener("submit", (event) => {
  event.preventDefault();
  const key = keyInput.value.trim();
  if (!keyFormat.test(key)) {
    keyInput.setAttribute("aria-invalid", "true");
    select("#key-error").textContent = `A key is ${keyInput.dataset.format}. Is it whole?`;
    return;
  }
  const then = afterKey;
  setKey(key);
  keyDialog.close();
  announce("The key is in use on this page");
  then?.();
});
// A page that the browser keeps for its Back button must not keep the key.
addEventListener("pagehide", () => setKey(null));

// --- Samples ------------------------------------------------------------------------------------

const cards = [];
const operations = [];
let language = samples.languages.find(({ id }) => id === recall("language")) ?? samples.languages[0];

// What an operation and its form say at this moment.
function readRequest({ method, path, needsKey, form, lastBody }) {
  const query = new URLSearchParams();
  const headers = [];
  for (const { name, value, dataset } of selectAll("[data-in]", form)) {
    if (dataset.in === "path") path = path.replace(`{${name}}`, encodeURIComponent(value) || `{${name}}`);
    else if (value && dataset.in === "query") query.set(name, value);
    else if (value) headers.push([name, value]);
  }
  const text = form.elements.body?.value.trim() ?? "";
  if (text) headers.unshift(["Content-Type", "application/json"]);
  const url = location.origin + path + (query.size ? `?${query}` : "");
  return { method, url, headers, text, body: text ? lastBody : undefined, needsKey, key: apiKey };
}

// A card of the guide stays as it was served; one of an operation follows its form.
function renderSample({ panels, operation }) {
  const code = select("code", panels.get(language.id));
  if (operation) code.textContent = samples.write(language.id, readRequest(operation));
  samples.highlight(code);
}

function renderAllSamples() {
  cards.forEach(renderSample);
}

function chooseLanguage(chosen) {
  language = chosen;
  remember("language", chosen.id);
  for (const { tabs, panels } of cards) {
    for (const tab of tabs) {
      const isChosen = tab.dataset.language === chosen.id;
      tab.setAttribute("aria-selected", String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
      panels.get(tab.dataset.language).hidden = !isChosen;
    }
  }
  renderAllSamples();
}

const KEYS_TO_STEPS = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };

function moveBetweenTabs(event, tabs) {
  const step = KEYS_TO_STEPS[event.key];
  if (!step) return;
  event.preventDefault();
  const last = tabs.length - 1;
  const index = Math.max(-1, Math.min(last + 1, tabs.indexOf(event.target) + step));
  const wrapped = Number.isFinite(step) ? (index + last + 1) % (last + 1) : step > 0 ? last : 0;
  chooseLanguage(samples.languages[wrapped]);
  tabs[wrapped].focus();
}

// The blocks that fold without a script become tabs; every card shows the language chosen last.
function makeTabs(card, operation) {
  const list = make("div", { role: "tablist", "aria-label": "Language" });
  const panels = new Map();
  const tabs = samples.languages.map(({ id, name }, index) => {
    const panelId = `sample-${cards.length}-${id}`;
    const tab = make("button", { type: "button", role: "tab", id: `${panelId}-tab`, "data-language": id }, name);
    tab.setAttribute("aria-controls", panelId);
    tab.addEventListener("click", () => chooseLanguage(samples.languages[index]));
    const panel = make("div", { role: "tabpanel", id: panelId, "aria-labelledby": tab.id });
    const code = select(`code[data-language="${id}"]`, card);
    panel.append(code.parentElement);
    panels.set(id, panel);
    return tab;
  });
  list.append(...tabs);
  list.addEventListener("keydown", (event) => moveBetweenTabs(event, tabs));
  const button = make("button", { class: "copy", type: "button", "aria-label": "Copy the sample" }, "Copy");
  card.replaceChildren(make("div", { class: "caption" }, list, button), ...panels.values());
  cards.push({ tabs, panels, operation });
}

// --- Consoles -----------------------------------------------------------------------------------

// Keep the last body that was JSON for the samples, and say where this one is not.
function readBody(operation) {
  const { body } = operation.form.elements;
  if (!body) return;
  const note = select(".field-note", operation.form);
  const text = body.value.trim();
  note.textContent = "";
  try {
    if (text) operation.lastBody = JSON.parse(text);
  } catch {
    const { line, column } = requestConsole.findMistake(body.value);
    const shown = body.value.split("\n")[line - 1].trim().slice(0, 60);
    note.textContent = `This is not JSON from line ${line}, column ${column} on: ${shown || "the end"}`;
  }
}

function findMissing(form) {
  const missing = selectAll("[required]", form).find((input) => !input.value);
  for (const input of selectAll("[required]", form)) {
    if (input === missing) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
  return missing;
}

// How to show what a Location leads to: the console of its operation, with the id filled in.
function findConsole(address) {
  if (!address) return null;
  for (const { method, path, section, form } of operations) {
    const pattern = new RegExp(`^${path.replace(/\{(\w+)\}/g, "(?<$1>[^/]+)")}$`);
    const found = method === "GET" && new URL(address, location.href).pathname.match(pattern);
    if (!found) continue;
    return {
      title: select("h3", section).firstChild.textContent,
      go() {
        for (const [name, value] of Object.entries(found.groups ?? {})) {
          form.elements[name].value = decodeURIComponent(value);
        }
        form.dispatchEvent(new Event("input"));
        form.closest("details").open = true;
        section.scrollIntoView();
        select(".primary", form).focus({ preventScroll: true });
      },
    };
  }
  return null;
}

async function submit(operation) {
  const { form, result } = operation;
  const missing = findMissing(form);
  select(".field-error", form).textContent = missing ? `${missing.name} is missing.` : "";
  if (missing) return missing.focus();
  const request = readRequest(operation);
  if (request.needsKey && !apiKey) return askForKey(() => submit(operation));
  const button = select(".primary", form);
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  button.textContent = "Sending…";
  try {
    const answer = await requestConsole.send(request);
    requestConsole.show(result, answer, findConsole);
    announce(`${answer.status} ${answer.phrase} after ${answer.milliseconds} milliseconds`);
  } catch (failure) {
    requestConsole.showFailure(result, failure);
    announce(requestConsole.describeFailure(failure));
  } finally {
    button.removeAttribute("aria-disabled");
    button.textContent = "Send";
  }
}

// Not crypto.randomUUID(), which plain HTTP does not have.
function makeKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function addConsole(section) {
  const form = requestConsole.makeForm(JSON.parse(section.dataset.operation));
  const result = make("div", { class: "result", hidden: true });
  const operation = { ...JSON.parse(section.dataset.operation), section, form, result };
  const card = select(".sample", section);
  card.after(make("details", { class: "card console" }, make("summary", {}, "Try it"), form, result));
  operations.push(operation);
  readBody(operation);
  makeTabs(card, operation);
  form.addEventListener("input", () => {
    readBody(operation);
    cards.filter((each) => each.operation === operation).forEach(renderSample);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(operation);
  });
  form.addEventListener("click", ({ target }) => {
    if ("makeKey" in target.dataset) select("input", target.closest(".control")).value = makeKey();
    else if ("example" in target.dataset) form.elements.body.value = target.dataset.example;
    else return;
    form.dispatchEvent(new Event("input"));
  });
}

selectAll("[data-operation]").forEach(addConsole);
for (const card of selectAll(".sample:not(:has([role=tablist]))")) makeTabs(card);
chooseLanguage(language);
for (const code of selectAll(".code code")) samples.highlight(code);
// The scripts have moved what stands below them.
document.getElementById(location.hash.slice(1))?.scrollIntoView({ behavior: "instant" });
