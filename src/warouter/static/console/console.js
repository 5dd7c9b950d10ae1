// Life for pages that work without it: stream and pause, times, keys, copying, dialogs.
const find = (query, from = document) => from.querySelector(query);
const every = (query, from = document) => [...from.querySelectorAll(query)];
const on = (name, heard, from = document) => from.addEventListener(name, heard, true);
const root = document.documentElement;
const live = find("#live");
const WIDE = ".table:not([role])"; // what has a role has seen to its own tabindex
root.classList.add("script");
for (const element of every(".top [hidden]")) element.hidden = false;
find(".pages [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// ---- times: relative, with the absolute in the title, in UTC or in the browser's zone

let skew = 0; // of the server's clock to ours
let local = false;
try { local = localStorage.zone === "local"; } catch { /* no storage: UTC */ }

const two = (number) => `${number}`.padStart(2, "0");

function clock(at) {
  const d = local ? at : new Date(+at + at.getTimezoneOffset() * 6e4);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

function absolute(at) {
  const d = local ? at : new Date(+at + at.getTimezoneOffset() * 6e4);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(at)}`;
}

function relative(at) {
  const age = Math.round((Date.now() + skew - at) / 1000);
  const far = Math.abs(age);
  if (far >= 86400) return absolute(at).slice(0, 16);
  const said = far < 60 ? `${far} s` : far < 3600 ? `${Math.floor(far / 60)} min`
    : `${Math.floor(far / 3600)} h ${Math.floor(far % 3600 / 60)} min`;
  return age < 0 ? `in ${said}` : `${said} ago`;
}

function tell(from) {
  for (const time of every("time[datetime]", from)) {
    const at = new Date(time.dateTime);
    if (isNaN(at)) continue;
    const title = absolute(at) + (local ? "" : " UTC");
    const text = "absolute" in time.dataset ? title : relative(at);
    if (time.textContent !== text) time.textContent = text;
    if (time.title !== title) time.title = title;
  }
}

function zone(wanted) {
  local = wanted;
  try { localStorage.zone = wanted ? "local" : "utc"; } catch { /* until the next page */ }
  document.dispatchEvent(new Event("console:zone"));
  const button = find("#zone");
  if (button) {
    button.textContent = wanted ? "Local" : "UTC";
    button.title = wanted ? "Times in your zone: switch to UTC" : "Times in UTC: switch to your zone";
  }
  tell();
}

// ---- the stream: live, paused (the newest frame is kept for later), reconnecting, out of date

const pauses = new Set(); // why the page stands still: "key", "list", "text"
let kept = null;
let heard = performance.now();
let asOf = new Date();
let lost = 0; // since when there is no stream
let asked = performance.now();

function show(text) {
  kept = null;
  return htmx.swap({ sourceElement: live, target: live, swap: "innerMorph swapEmpty:false", text });
}

function pause(why, wanted) {
  if (wanted === pauses.has(why)) return;
  wanted ? pauses.add(why) : pauses.delete(why);
  if (!pauses.size && kept !== null) show(kept);
  tick();
}

function tick() {
  if (!document.hidden) { tell(); settle(); } // a longer text may make a table scroll
  if (!live) return;
  const now = performance.now();
  const away = lost && Math.round((now - lost) / 1000);
  const state = away ? "reconnecting" : pauses.size ? "paused" : "live";
  find("#stream").dataset.stream = state;
  find("#stream-word").textContent = away ? `reconnecting ${away} s` : state;
  find("#pause").textContent = pauses.has("key") ? "Go on" : "Pause";
  const old = now - heard > 1e4;
  if (old !== root.classList.contains("old")) {
    root.classList.toggle("old", old);
    find("#stale").hidden = !old;
    find("#stale").textContent = old ? `As of ${clock(asOf)}: nothing newer has come since.` : "";
  }
  // The first connection failed, or the stream was given up: htmx does not try again by itself.
  if (!live._htmx?.sse && !document.hidden && now - asked > 3e3) {
    asked = now;
    lost ||= asked - 3e3;
    htmx.trigger(live, "again");
  }
}

if (live) {
  on("htmx:sse:before:message", (event) => {
    const { message } = event.detail;
    if (message.event || !pauses.size) return;
    kept = message.data;
    event.preventDefault();
  });
  on("alive", (event) => {
    heard = performance.now();
    asOf = new Date(event.detail.data);
    skew = Math.abs(asOf - Date.now()) > 3e3 ? asOf - Date.now() : 0;
  });
  on("htmx:sse:before:connection", (event) => {
    if (event.detail.connection.attempt) lost ||= performance.now();
  });
  on("htmx:sse:after:connection", () => { lost = 0; tick(); });
  on("htmx:sse:error", (event) => {
    // The session has ended: the page leads to the login and back.
    if ([401, 403].includes(event.detail.status)) location.reload();
    lost ||= performance.now();
  });
  on("visibilitychange", () => { asked = heard = performance.now(); });
  on("click", (event) => {
    if (event.target.id === "pause") pause("key", !pauses.has("key"));
  });
  const tail = (element) => !!element?.closest?.(".tail");
  on("mouseover", (event) => pause("list", tail(event.target)));
  on("mouseout", (event) => event.relatedTarget || pause("list", false));
  on("focusin", (event) => pause("focus", tail(event.target)));
  on("focusout", (event) => pause("focus", tail(event.relatedTarget)));
  on("scroll", (event) => tail(event.target) && pause("scroll", event.target.scrollTop > 0));
  on("selectionchange", () => {
    const chosen = getSelection();
    pause("text", !chosen.isCollapsed && live.contains(chosen.anchorNode));
  });
  htmx.registerExtension("console", {
    // A frame's times are told before it is shown, so that they do not flicker.
    htmx_before_swap: (_element, { tasks }) => {
      for (const task of tasks) if (task.fragment) tell(task.fragment);
    },
    // What a person has opened stays open; what scrolls stays in reach of the keyboard.
    htmx_before_morph_attr: (element, { attrName }) =>
      !(attrName === "open" || attrName === "tabindex" && element.matches(WIDE)),
    htmx_after_swap: settle,
  });
}

// ---- keys: none acts by itself, none works while typing

let leading = -Infinity;

function step(by) {
  const rows = every("main tbody tr").map((row) => row.offsetParent && find("a[href], summary, button", row)).filter(Boolean);
  const at = rows.findIndex((row) => row.closest("tr").contains(document.activeElement));
  const next = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

const KEYS = {
  "/": () => { const field = find("main [data-search], main input[type=search]"); field?.focus(); field?.select(); },
  j: () => step(1),
  k: () => step(-1),
  p: () => live && pause("key", !pauses.has("key")),
  r: () => {
    const row = document.activeElement.closest("tr, li");
    const button = row && find("[data-key-opens=r]", row) || find("main [data-key-opens=r]");
    button?.focus();
    if (button?.hasAttribute("commandfor")) button.click();
  },
  "?": () => find("#keys")?.showModal(),
};

on("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || find("dialog[open]")) return;
  if (event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const leads = performance.now() - leading < 1500;
  leading = event.key === "g" ? performance.now() : -Infinity;
  const link = leads && every("[data-key]").find((one) => one.dataset.key === event.key);
  if (link) link.click();
  else if (!leads && Object.hasOwn(KEYS, event.key)) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

// ---- buttons and fields

async function copy(button) {
  const text = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS a browser has no clipboard but this.
    const field = document.createElement("textarea");
    field.value = text;
    (button.closest("dialog") ?? document.body).append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus();
  }
  button.classList.add("done");
  setTimeout(() => button.classList.remove("done"), 1500);
}

function count() {
  for (const all of every("[data-all]")) {
    const boxes = every(`input[type=checkbox][name="${all.dataset.all}"]`);
    const chosen = boxes.filter((box) => box.checked).length;
    all.checked = chosen > 0 && chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
    for (const shown of every(`[data-count="${all.dataset.all}"]`)) shown.textContent = chosen;
  }
}

function settle() {
  count();
  for (const box of every(WIDE)) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

on("click", (event) => {
  const button = event.target.closest?.("button");
  if (button?.dataset.copy) copy(button);
  if (button?.id === "zone") zone(!local);
  const dialog = button?.getAttribute("commandfor");
  if (dialog && !("commandForElement" in button)) {
    document.getElementById(dialog)[button.getAttribute("command") === "close" ? "close" : "showModal"]();
  }
});
on("input", (event) => {
  const { target } = event;
  if (target.dataset.all) {
    for (const box of every(`input[type=checkbox][name="${target.dataset.all}"]`)) box.checked = target.checked;
  }
  if ("typed" in target.dataset) typed(target);
  count();
});

function typed(field) {
  find("button:not([type=button])", field.form).disabled = !field.form.checkValidity();
}

every("[data-typed]").forEach(typed);
zone(local);
settle();
tick();
addEventListener("resize", settle);
setInterval(tick, 1000);
