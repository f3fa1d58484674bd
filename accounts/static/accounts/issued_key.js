"use strict";
// Copies a new key, and says so. Without it the key can still be selected: a click takes all of it.

document.addEventListener("DOMContentLoaded", () => {
  const key = document.querySelector("[data-issued-key]");
  const button = document.querySelector("[data-copy-key]");
  const said = document.querySelector("[data-copied]");
  if (!key || !button) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    said.textContent = "";
    const copied = await copy(key);
    button.querySelector("[data-label]").textContent = copied ? "Copied" : "Copy";
    button.querySelector(".material-symbols-outlined").textContent = copied ? "check" : "content_copy";
    said.textContent = copied ? "The key is on the clipboard." : "It is selected: copy it with Ctrl+C or ⌘C.";
  });
});

async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    // No clipboard without TLS, or without leave.
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
}
