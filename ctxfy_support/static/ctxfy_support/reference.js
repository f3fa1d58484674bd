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
    if (!current) return;
    for (const [id, link] of links) {
      if (id === current.target.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  },
  { rootMargin: "-25% 0px -75% 0px" },
);
for (const id of links.keys()) observer.observe(document.getElementById(id));

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
    await copy(select("code", button.closest(".card")));
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
  select("[data-key-label]").textContent = label;
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

// --- Samples and consoles ----------------------------------------------------------------------

const operations = new Map();
let language = samples.languages.find(({ id }) => id === recall("language")) ?? samples.languages[0];

// What a section and its form say at this moment.
function readRequest({ section, form, lastBody }) {
  const inputs = selectAll("[data-in]", form);
  let path = section.dataset.path;
  const query = new URLSearchParams();
  const headers = [];
  for (const { name, value, dataset } of inputs) {
    if (dataset.in === "path") path = path.replace(`{${name}}`, encodeURIComponent(value) || `{${name}}`);
    else if (value && dataset.in === "query") query.set(name, value);
    else if (value) headers.push([name, value]);
  }
  const text = form.elements.body?.value.trim() ?? "";
  if (text) headers.unshift(["Content-Type", "application/json"]);
  const search = query.size ? `?${query}` : "";
  return {
    method: section.dataset.method,
    url: location.origin + path + search,
    headers,
    text,
    body: text ? lastBody : undefined,
    needsKey: "needsKey" in section.dataset,
    key: apiKey,
  };
}

function renderSample({ panel, operation }) {
  const code = select("code", panel);
  code.textContent = language.write(readRequest(operation));
  samples.highlight(code, language.id);
}

function renderAllSamples() {
  for (const operation of operations.values()) operation.cards.forEach(renderSample);
}

function chooseLanguage(chosen) {
  language = chosen;
  remember("language", chosen.id);
  for (const { cards } of operations.values()) {
    for (const { tabs, panel } of cards) {
      for (const tab of tabs) {
        const isChosen = tab.dataset.language === chosen.id;
        tab.setAttribute("aria-selected", String(isChosen));
        tab.tabIndex = isChosen ? 0 : -1;
        if (isChosen) panel.setAttribute("aria-labelledby", tab.id);
      }
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
  const next = tabs.indexOf(event.target) + step;
  const index = next > last ? (Number.isFinite(step) ? 0 : last) : next < 0 ? (Number.isFinite(step) ? last : 0) : next;
  chooseLanguage(samples.languages[index]);
  tabs[index].focus();
}

let cardCount = 0;

// A card with a tab for each language; every card shows the language that was chosen last.
function makeSampleCard(place, operation) {
  cardCount += 1;
  const card = select("#sample-card").content.cloneNode(true);
  const list = select("[role=tablist]", card);
  const panel = select("[role=tabpanel]", card);
  panel.id = `sample-${cardCount}`;
  const tabs = samples.languages.map((each) => {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.role = "tab";
    tab.id = `sample-${cardCount}-${each.id}`;
    tab.dataset.language = each.id;
    tab.textContent = each.name;
    tab.setAttribute("aria-controls", panel.id);
    tab.addEventListener("click", () => chooseLanguage(each));
    return tab;
  });
  list.append(...tabs);
  list.addEventListener("keydown", (event) => moveBetweenTabs(event, tabs));
  place.append(card);
  operation.cards.push({ tabs, panel, operation });
}

// Keep the last body that was JSON for the samples, and say so where this one is not.
function readBody(operation) {
  const { form } = operation;
  const note = select("[data-body-note]", form);
  const text = form.elements.body?.value.trim();
  if (!text) return;
  try {
    operation.lastBody = JSON.parse(text);
    note.textContent = "";
  } catch {
    note.textContent = "This is not JSON. It is sent as it stands, and the answer says so.";
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

async function submit(operation) {
  const { form, result } = operation;
  const error = select("[data-form-error]", form);
  const missing = findMissing(form);
  error.textContent = missing ? `${missing.name} is missing.` : "";
  if (missing) return missing.focus();
  const request = readRequest(operation);
  if (request.needsKey && !apiKey) return askForKey(() => submit(operation));
  const button = select("[type=submit]", form);
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  button.textContent = "Sending…";
  try {
    const answer = await requestConsole.send(request);
    requestConsole.show(result, answer);
    announce(`${answer.status} ${answer.phrase} after ${answer.milliseconds} milliseconds`);
  } catch (failure) {
    requestConsole.showFailure(result, failure);
    announce(requestConsole.describeFailure(failure));
  } finally {
    button.removeAttribute("aria-disabled");
    button.textContent = "Send";
  }
}

for (const section of selectAll("[data-operation]")) {
  const form = select(".console form", section);
  const operation = { section, form, result: select(".result", section), cards: [], lastBody: undefined };
  operations.set(section.dataset.operation, operation);
  for (const place of selectAll(`[data-sample-of="${section.dataset.operation}"]`)) {
    makeSampleCard(place, operation);
  }
  form.addEventListener("input", () => {
    readBody(operation);
    operation.cards.forEach(renderSample);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(operation);
  });
  for (const chip of selectAll("[data-example]", form)) {
    chip.addEventListener("click", () => {
      form.elements.body.value = chip.dataset.example;
      form.dispatchEvent(new Event("input"));
    });
  }
  readBody(operation);
}

// Not crypto.randomUUID(), which plain HTTP does not have.
function makeKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

for (const button of selectAll("[data-make-key]")) {
  button.addEventListener("click", () => {
    const input = document.getElementById(button.dataset.makeKey);
    input.value = makeKey();
    input.form.dispatchEvent(new Event("input"));
  });
}

chooseLanguage(language);
for (const code of selectAll("code[data-language]")) samples.highlight(code, code.dataset.language);
// The samples have moved what stands below them.
document.getElementById(location.hash.slice(1))?.scrollIntoView({ behavior: "instant" });
