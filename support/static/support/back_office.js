"use strict";
// The back-office's own pages: keys, ticked rows, the export's progress. Without it everything
// still works, by links and buttons.

document.documentElement.classList.add("scripted");

document.addEventListener("DOMContentLoaded", () => {
  nameUnfoldControls();
  if (document.querySelector("select.admin-autocomplete, select.selectfilter")) {
    new MutationObserver(nameDrawnControls).observe(document.body, { childList: true, subtree: true });
    nameDrawnControls();
  }
  const queue = document.querySelector("[data-queue]");
  const ticket = document.querySelector("[data-ticket]");
  if (queue) startQueue(queue);
  if (ticket) startTicket(ticket);
  document.querySelectorAll("[data-open-dialog]").forEach((button) => {
    button.addEventListener("click", () => document.getElementById(button.dataset.openDialog).showModal());
  });
  document.querySelectorAll("[data-copy]").forEach(startCopying);
  document.querySelectorAll("form[method=post]").forEach(sendOnce);
  document.querySelectorAll("form[action$='/logout/']").forEach((form) => form.addEventListener("submit", () => dropDrafts(() => true)));
});

// Names that Unfold's templates leave out, for whoever cannot see the icons.
function nameUnfoldControls() {
  const names = { "#searchbar-submit": "Search", "#searchbar": "Search", "#command-submit": "Search", "#search-input-command": "Search" };
  for (const [selector, name] of Object.entries(names)) {
    document.querySelectorAll(selector).forEach((element) => element.setAttribute("aria-label", name));
  }
  document.querySelectorAll("#nav-sidebar-apps .simplebar-content-wrapper").forEach((element) => element.setAttribute("tabindex", "0"));
}

// Select2 and Django's two-box selector draw themselves later, without these names.
function nameDrawnControls() {
  document.querySelectorAll(".help-tooltip[aria-label]:not([role])").forEach((element) => element.setAttribute("role", "img"));
  document.querySelectorAll("select.select2-hidden-accessible").forEach((select) => {
    const label = document.querySelector(`label[for="${CSS.escape(select.id)}"]`);
    const name = label ? label.textContent.trim() : select.name;
    select.parentElement.querySelectorAll(".select2-selection:not([aria-label]), .select2-selection__rendered:not([aria-label])").forEach((box) => box.setAttribute("aria-label", name));
  });
}

// A second click must not post a second time.
function sendOnce(form) {
  form.addEventListener("submit", (event) => {
    if (form.hasAttribute("data-export")) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    setTimeout(() => delete form.dataset.sent, 4000);
  });
}

// Copies what a button names; without script the text can still be selected.
function startCopying(button) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const label = button.querySelector("[data-label]");
    label.setAttribute("role", "status");
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      label.textContent = "Copied";
    } catch {
      // No clipboard without TLS, or without leave.
      getSelection().selectAllChildren(button.previousElementSibling);
      label.textContent = document.execCommand("copy") ? "Copied" : "Selected";
    }
  });
}

function isTyping(event) {
  return event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog[open]") !== null;
}

function startQueue(queue) {
  const rows = [...queue.querySelectorAll("[data-row]")];
  const boxes = [...queue.querySelectorAll("[data-row] input[type=checkbox]")];
  const all = queue.querySelector("[data-all]");
  const bar = queue.querySelector("[data-bulk-bar]");
  let current = -1;

  const showTicked = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    if (!bar) return;
    bar.classList.toggle("is-open", ticked > 0);
    bar.querySelector("[data-bulk-count]").textContent = ticked;
    // An empty list has no head, and so no box for all.
    if (!all) return;
    all.checked = ticked > 0 && ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
  };
  boxes.forEach((box) => box.addEventListener("change", showTicked));
  if (all) all.addEventListener("change", () => { boxes.forEach((box) => { box.checked = all.checked; }); showTicked(); });
  showTicked();

  const move = (step) => {
    if (!rows.length) return;
    current = Math.min(rows.length - 1, Math.max(0, current + step));
    rows.forEach((row, number) => row.classList.toggle("is-current", number === current));
    rows[current].querySelector("[data-open]").focus({ preventScroll: true });
    rows[current].scrollIntoView({ block: "nearest" });
  };

  document.addEventListener("keydown", (event) => {
    if (isTyping(event) && !(event.target.type === "checkbox")) return;
    const row = rows[current];
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "x" && row && boxes[current]) { boxes[current].checked = !boxes[current].checked; showTicked(); }
    else if (event.key === "/") queue.querySelector("[data-search-box]").focus();
    else if (event.key === "?") document.getElementById("shortcuts").showModal();
    else return;
    event.preventDefault();
  });

  const filters = queue.querySelector("[data-filters]");
  filters.addEventListener("change", (event) => { if (event.target.matches("select")) filters.requestSubmit(); });
  filters.addEventListener("submit", () => {
    filters.querySelectorAll("select, input").forEach((field) => { if (!field.value) field.disabled = true; });
  });
  document.addEventListener("click", (event) => {
    queue.querySelectorAll("[data-menu][open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  });
  const form = queue.querySelector("[data-export]");
  if (form) form.addEventListener("submit", (event) => { event.preventDefault(); exportTickets(form); });
}

// Reads the file as it comes, and counts its records: each ends with CR LF, and nothing else does.
async function exportTickets(form) {
  const dialog = document.getElementById("export-progress");
  const bar = dialog.querySelector("[data-progress]");
  const text = dialog.querySelector("[data-progress-text]");
  const stop = dialog.querySelector("[data-export-stop]");
  const controller = new AbortController();
  stop.onclick = () => { controller.abort(); dialog.close(); };
  dialog.oncancel = () => controller.abort();
  bar.removeAttribute("value");
  text.textContent = "Starting";
  stop.textContent = "Stop";
  dialog.showModal();
  try {
    const response = await fetch(form.action, { method: "POST", body: new FormData(form), signal: controller.signal });
    if (!response.ok || response.redirected) throw new Error(`The server answered ${response.status}${response.redirected ? ", for you are logged out" : ""}.`);
    const total = Number(response.headers.get("X-Ticket-Count")) || 0;
    if (total) bar.max = total;
    const parts = [];
    let records = -1;
    let last = 0;
    for (const reader = response.body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      for (const byte of value) { if (byte === 10 && last === 13) records += 1; last = byte; }
      if (total) bar.value = Math.max(0, records);
      text.textContent = `${Math.max(0, records).toLocaleString("en")}${total ? ` of ${total.toLocaleString("en")}` : ""} tickets`;
    }
    const file = new Blob(parts, { type: "text/csv" });
    // No ticket's record looks so: it begins with an id, and CR LF stands within none.
    const lastWords = /\r\n"(INCOMPLETE: [^"]*)"[^\r]*\r\n$/.exec(await file.slice(-600).text());
    if (lastWords) throw new Error(lastWords[1]);
    if (records < total) throw new Error(`INCOMPLETE: ${Math.max(0, records)} of ${total} tickets.`);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition"))[1];
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    text.textContent += ", done";
    stop.textContent = "Close";
  } catch (error) {
    if (error.name === "AbortError") return;
    text.textContent = `The export is not whole, and nothing was saved. ${error.message}`;
    stop.textContent = "Close";
  }
}

function startTicket(ticket) {
  const question = ticket.querySelector("[data-asks]");
  if (question) question.focus();
  dropDrafts((draft) => !draft || Date.now() - draft.at > DRAFT_DAYS * 86400000);
  ticket.querySelectorAll("[data-draft]").forEach((field) => startDraft(ticket, field));
  const choose = (name) => {
    const radio = document.getElementById(`composer-${name}`);
    if (!radio) return;
    radio.checked = true;
    const field = document.getElementById(`${name}-text`);
    if (field) field.focus();
  };
  document.addEventListener("keydown", (event) => {
    if (isTyping(event)) return;
    const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (target) target.click();
    else if (event.key === "r") choose("reply");
    else if (event.key === "n") choose("note");
    else return;
    event.preventDefault();
  });
  const canned = document.querySelector("[data-canned]");
  if (!canned) return;
  canned.addEventListener("change", () => insertCanned(canned));
}

async function insertCanned(select) {
  const field = document.getElementById("reply-text");
  const address = select.dataset.canned.replace(/0\/$/, `${select.value}/`);
  const prompt = select.options[0];
  const label = prompt.textContent;
  if (!select.value) return;
  select.value = "";
  select.disabled = true;
  prompt.textContent = "Loading";
  try {
    const response = await fetch(address, { headers: { Accept: "application/json" } });
    // A session that ended leads to the log-in page.
    if (!response.ok || response.redirected) throw new Error();
    const { text } = await response.json();
    field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
    prompt.textContent = label;
  } catch {
    prompt.textContent = "Could not be loaded";
  }
  select.disabled = false;
  field.focus();
}

// What an agent types stays in this browser, by agent, ticket and box, until the server has it or
// the agent logs out: a page that is left, a session that ends and an error lose nothing.
const DRAFTS = "cx-draft:";
const DRAFT_DAYS = 7;

function readDraft(key) {
  try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
}

function keepDraft(key, draft) {
  try {
    if (draft.text.trim()) localStorage.setItem(key, JSON.stringify({ ...draft, at: Date.now() }));
    else localStorage.removeItem(key);
  } catch { /* Storage that is full or switched off keeps nothing, and stops nothing. */ }
}

function dropDrafts(isUnwanted) {
  try {
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(DRAFTS));
    keys.filter((key) => isUnwanted(readDraft(key))).forEach((key) => localStorage.removeItem(key));
  } catch { /* as above */ }
}

function startDraft(ticket, field) {
  const box = field.dataset.draft;
  const key = `${DRAFTS}${ticket.dataset.agent}:${ticket.dataset.ticket}:${box}`;
  const note = ticket.querySelector(`[data-draft-note="${box}"]`);
  const mark = ticket.querySelector(`[data-draft-mark="${box}"]`);
  const seenField = field.form.elements.seen;
  // The newest entry of the timeline that the agent knew when the text was begun.
  let seen = Number(ticket.dataset.seen);
  const keep = (sent) => keepDraft(key, { text: field.value, seen, sent });
  const show = (isRestored) => { note.hidden = !isRestored; mark.hidden = !isRestored; };
  const draft = readDraft(key);
  const own = [...ticket.querySelectorAll(`[data-own="${box}"]`)].map((entry) => Number(entry.dataset.event));
  if (field.defaultValue) keep(false); // The server gave it back: it asks something first.
  else if (draft && draft.sent && own.some((entry) => entry > draft.seen)) keepDraft(key, { text: "" });
  else if (draft) {
    field.value = draft.text;
    seen = draft.seen;
    // So that the server asks where somebody answered since.
    if (seenField) seenField.value = seen;
    show(true);
    if (box === "reply" || !document.getElementById("reply-text")?.value) document.getElementById(`composer-${box}`).checked = true;
  }
  field.addEventListener("input", () => keep(false));
  field.form.addEventListener("submit", () => keep(true));
  note.querySelector("button").addEventListener("click", () => {
    field.value = "";
    seen = Number(ticket.dataset.seen);
    if (seenField) seenField.value = seen;
    keep(false);
    show(false);
    field.focus();
  });
}
