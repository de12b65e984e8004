// The studio works without this; with it, filters apply at once, pages are kept up to date, and keys do what the mouse does.
"use strict";
document.documentElement.classList.add("js");

const typing = (target) => target.closest("input, select, textarea, [contenteditable]") !== null;

// Filters apply when they change. Empty fields stay out of the address.
for (const form of document.querySelectorAll("form[data-auto]")) {
  const go = () => {
    const filled = [...new FormData(form)].filter(([, value]) => value !== "");
    location.assign(form.action + "?" + new URLSearchParams(filled));
  };
  form.addEventListener("change", go);
  form.addEventListener("submit", (event) => { event.preventDefault(); go(); });
}

// A part of the page that the server keeps up to date.
for (const part of document.querySelectorAll("[data-live]")) {
  const events = new EventSource(part.dataset.live);
  events.onmessage = (event) => {
    const open = [...part.querySelectorAll("details[open]")].length;
    if (!open && part.innerHTML !== event.data) part.innerHTML = event.data;
  };
  addEventListener("pagehide", () => events.close());
}

// Rows of a list and steps of a trajectory, one after the other.
const stops = () => [...document.querySelectorAll(".rows tbody tr, .reading .step")];
let at = -1;
function move(by) {
  const all = stops();
  if (all.length === 0) return;
  if (all[at]) all[at].classList.remove("at");
  at = Math.min(Math.max(at + by, 0), all.length - 1);
  all[at].classList.add("at");
  all[at].scrollIntoView({ block: all[at].matches("tr") ? "nearest" : "start", behavior: "smooth" });
}

const follow = (selector) => { const link = document.querySelector(selector); if (link) link.click(); };
const help = document.getElementById("help");
document.getElementById("keys").addEventListener("click", () => help.showModal());

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || help.open) return;
  const actions = {
    "/": () => document.getElementById("find")?.focus(),
    "j": () => move(1),
    "k": () => move(-1),
    "n": () => follow("a[rel=next]"),
    "p": () => follow("a[rel=prev]"),
    "u": () => follow("a[data-up]"),
    "w": () => follow("a[data-wrong]"),
    "g": () => follow("[data-key=g]"),
    "b": () => follow("[data-key=b]"),
    "?": () => help.showModal(),
    "Enter": () => stops()[at]?.querySelector("th a")?.click(),
  };
  const action = actions[event.key];
  if (action === undefined || (event.key === "Enter" && (at < 0 || event.target !== document.body))) return;
  event.preventDefault();
  action();
});

// Forms of a talk are sent without leaving the page.
addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-quiet]")) return;
  event.preventDefault();
  const reply = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
  if (reply.type === "opaqueredirect") {
    if (form.matches(".say")) form.reset();
    return;
  }
  const page = new DOMParser().parseFromString(await reply.text(), "text/html");
  alert(page.querySelector("main p")?.textContent ?? "That did not work.");
});
document.querySelector(".say textarea")?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    event.target.form.requestSubmit();
  }
});

// What agents do, as they do it.
for (const talk of document.querySelectorAll("[data-talk]")) {
  const events = new EventSource(talk.dataset.talk);
  const nearEnd = () => innerHeight + scrollY > document.body.scrollHeight - 160;
  const change = (part, action) => {
    const follows = nearEnd();
    action(part);
    if (follows) scrollTo({ top: document.body.scrollHeight });
  };
  for (const part of talk.querySelectorAll("[id^=side-]")) {
    events.addEventListener(part.id, (event) => change(part, () => { part.innerHTML = event.data; }));
  }
  for (const part of talk.querySelectorAll("[id^=writing-]")) {
    events.addEventListener(part.id, (event) => change(part, () => {
      part.textContent = JSON.parse(event.data);
      part.hidden = part.textContent === "";
    }));
  }
  addEventListener("pagehide", () => events.close());
}
