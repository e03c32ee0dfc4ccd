/** Everything a person sees. Takes what is to be shown and knows nothing of connections. */

/**
 * @import { CandidateView, PairView, Paths } from "./paths.js"
 * @import { Transfer } from "./transfer.js"
 *
 * @typedef {"busy" | "good" | "idle" | "bad"} Tone
 * @typedef {{ at: number, what: string, value: string }} StateEntry
 * @typedef {{ name: string, at: number | undefined }} Step `at` in milliseconds since the page was opened
 * @typedef {{ tone: Tone, pill: string, title: string, words: string }} Headline
 */

/** What an ICE candidate type means. */
const TYPES = {
  host: "an address of the machine itself",
  srflx: "server reflexive: the address a STUN server sees",
  prflx: "peer reflexive: the address the other side sees",
  relay: "an address on the TURN server",
};

const TONES = {
  good: ["joined", "stable", "complete", "connected", "completed", "open", "succeeded"],
  bad: ["failed", "refused", "disconnected", "waiting"],
};

/**
 * @template {Element} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return /** @type {T} */ (/** @type {unknown} */ (found));
}

/** @param {Headline} headline */
export function showHeadline({ tone, pill, title, words }) {
  const state = element("pill");
  state.dataset.tone = tone;
  state.textContent = pill;
  element("hero-title").textContent = title;
  element("words").textContent = words;
  element("link").dataset.tone = tone;
}

/** @param {Step[]} steps */
export function showSteps(steps) {
  const next = steps.findIndex((step) => step.at === undefined);
  element("steps").replaceChildren(
    ...steps.map(({ name, at }, index) => {
      const item = make("li", {
        class: at !== undefined ? "done" : index === next ? "next" : "",
      });
      item.append(make("span", { class: "step-name" }, name));
      item.append(make("span", { class: "step-time" }, at === undefined ? "" : `${Math.round(at)} ms`));
      return item;
    }),
  );
}

/**
 * @param {string} name
 */
export function showRemoteName(name) {
  element("their-label").textContent = name;
}

/** @param {Paths} paths */
export function showPaths({ candidates, pairs, selected }) {
  element("our-address").textContent = selected ? address(selected.local) : "…";
  element("their-address").textContent = selected ? address(selected.remote) : "…";
  element("link-kind").textContent = selected
    ? `${selected.local.type} to ${selected.remote.type}, ${selected.local.protocol.toUpperCase()}`
    : "no path";
  if (selected) element("words").textContent = inWords(selected);
  element("pairs-count").textContent = pairs.length ? String(pairs.length) : "";
  element("candidates-count").textContent = candidates.length ? String(candidates.length) : "";
  if (pairs.length) element("pairs").replaceChildren(...pairs.map(pairRow));
  if (candidates.length) element("candidates").replaceChildren(...candidateRows(candidates));
}

/** @param {PairView | undefined} selected */
export function showFigures(selected) {
  const none = "\u2013";
  const roundTrip = selected?.roundTrip;
  const figures = [
    ["Round trip", roundTrip === undefined ? none : milliseconds(roundTrip)],
    ["Sent", selected ? bytes(selected.bytesSent) : none],
    ["Received", selected ? bytes(selected.bytesReceived) : none],
  ];
  element("figures").replaceChildren(
    ...figures.map(([name, value]) => {
      const group = make("div", {});
      group.append(make("dt", {}, name), make("dd", {}, value));
      return group;
    }),
  );
}

/** @param {StateEntry} entry */
export function addState({ at, what, value }) {
  const list = element("timeline");
  const tone = TONES.good.includes(value) ? "good" : TONES.bad.includes(value) ? "bad" : "";
  const item = make("li", {});
  item.append(
    make("span", { class: "time" }, String(Math.round(at))),
    make("span", { class: "what" }, what),
    make("span", { class: "value", "data-tone": tone }, value),
  );
  followed(list, () => list.append(item));
}

/** A rule between two connections in the timeline. */
export function divideStates() {
  const list = element("timeline");
  if (list.lastElementChild) list.lastElementChild.classList.add("last");
}

/**
 * @param {"us" | "them" | "note"} who
 * @param {string} text
 * @param {string} [detail]
 * @returns {HTMLElement}
 */
export function addMessage(who, text, detail = "") {
  const list = element("messages");
  list.querySelector(".empty")?.remove();
  const message = make("div", { class: `message ${who}` });
  message.append(make("p", {}, text), make("small", {}, detail));
  followed(list, () => list.append(message));
  return message;
}

/**
 * @param {HTMLElement} message
 * @param {string} detail
 */
export function detailMessage(message, detail) {
  const small = message.querySelector("small");
  if (small) small.textContent = detail;
}

/** @type {Map<number, { row: HTMLElement, progress: HTMLProgressElement, line: HTMLElement, hash: HTMLElement }>} */
const rows = new Map();

/** @param {Transfer} transfer */
export function showTransfer(transfer) {
  let parts = rows.get(transfer.number);
  if (!parts) {
    element("transfers").querySelector(".empty")?.remove();
    const row = make("article", { class: "transfer" });
    const progress = /** @type {HTMLProgressElement} */ (make("progress", { max: "1", value: "0" }));
    const line = make("p", { class: "line" });
    const hash = make("p", { class: "hash" });
    row.append(make("h3", {}), progress, line, hash);
    element("transfers").prepend(row);
    parts = { row, progress, line, hash };
    rows.set(transfer.number, parts);
  }
  const { row, progress, line, hash } = parts;
  const { direction, name, size, done, state, sha256, why, blob } = transfer;
  row.dataset.state = state;
  const title = row.querySelector("h3");
  if (title && title.dataset.name !== name) {
    title.dataset.name = name;
    title.replaceChildren(
      make("span", { class: "direction" }, direction === "sent" ? "Sent" : "Received"),
      make("span", { class: "name" }, name || "a file"),
    );
  }
  progress.value = size ? done / size : state === "verified" ? 1 : 0;
  progress.setAttribute("aria-label", `${direction === "sent" ? "Sending" : "Receiving"} ${name}`);
  const seconds = ((transfer.endedAt ?? performance.now()) - transfer.startedAt) / 1000;
  const speed = seconds > 0.05 && done > 0 ? `, ${bytes(done / seconds)}/s` : "";
  const took = transfer.endedAt ? ` in ${seconds.toFixed(seconds < 10 ? 2 : 1)} s` : "";
  line.textContent = {
    waiting: "Opening a channel",
    running: `${bytes(done)} of ${bytes(size)}${speed}`,
    checking: `${bytes(size)}${speed}, waiting for the other side to check it`,
    verified: `${bytes(size)}${took}${speed}`,
    failed: `Failed after ${bytes(done)}: ${why}`,
  }[state];
  if (state === "verified" && !hash.hasChildNodes()) {
    hash.append(make("span", { class: "tick" }, "SHA-256 the same on both sides"), make("code", {}, sha256));
    if (blob) {
      const save = make("a", { href: URL.createObjectURL(blob), download: name }, "Save");
      hash.append(save);
    }
  }
}

/** @param {boolean} enabled */
export function enableTalk(enabled) {
  if (!enabled) element("link-kind").textContent = "no path";
  const text = /** @type {HTMLInputElement} */ (element("text"));
  text.disabled = !enabled;
  text.placeholder = enabled ? "Write a message" : "Opens with the connection";
  for (const control of [...element("say").querySelectorAll("button"), element("choose"), element("ask")]) {
    /** @type {HTMLButtonElement} */ (control).disabled = !enabled;
  }
}

/**
 * @param {number} count
 * @returns {string} such as `1.5 MiB`
 */
export function bytes(count) {
  const units = ["bytes", "KiB", "MiB", "GiB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) {
    count /= 1024;
    unit++;
  }
  return `${unit === 0 || Number.isInteger(count) ? Math.round(count) : count.toFixed(count < 10 ? 2 : 1)} ${units[unit]}`;
}

/**
 * @param {number} seconds
 * @returns {string}
 */
export function milliseconds(seconds) {
  const ms = seconds * 1000;
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** @param {PairView} pair */
function pairRow(pair) {
  const row = make("div", {
    class: "row pair",
    "data-selected": String(pair.selected),
    "data-state": pair.state,
  });
  const ends = make("div", { class: "ends-text" });
  ends.append(badge(pair.local.type), addressText(pair.local));
  ends.append(badge(pair.remote.type), addressText(pair.remote));
  const facts = make("div", { class: "facts" });
  facts.append(make("b", {}, pair.selected ? "selected" : pair.state));
  facts.append(make("span", {}, pair.roundTrip === undefined ? "" : milliseconds(pair.roundTrip)));
  row.append(ends, facts);
  return row;
}

/** @param {CandidateView[]} candidates */
function candidateRows(candidates) {
  return ["local", "remote"].flatMap((side) => {
    const own = candidates.filter((candidate) => candidate.side === side);
    const heading = make("h3", {}, side === "local" ? "Ours" : "Theirs");
    return [heading, ...(own.length ? own.map(candidateRow) : [make("p", { class: "empty" }, "none yet")])];
  });
}

/** @param {CandidateView} candidate */
function candidateRow(candidate) {
  const row = make("div", { class: "row candidate" });
  const text = make("div", { class: "ends-text" });
  text.append(badge(candidate.type), addressText(candidate));
  const facts = make("div", { class: "facts" });
  const { server, protocol } = candidate;
  const source = server ? `${server.kind} over ${server.protocol}` : protocol.toUpperCase();
  facts.append(make("span", server ? { title: server.url } : {}, source));
  row.append(text, facts);
  return row;
}

/** @param {string} type */
function badge(type) {
  const meaning = type in TYPES ? TYPES[/** @type {keyof typeof TYPES} */ (type)] : "";
  return make("abbr", { class: "badge", "data-type": type, title: meaning }, type);
}

/** @param {CandidateView} candidate */
function address({ address, port }) {
  if (!address) return `hidden, port ${port}`;
  if (address.includes(":")) return `[${address}]:${port}`;
  // A name that stands for an address is long, and says nothing beyond its beginning.
  return `${address.replace(/^([0-9a-f]{8})-[0-9a-f-]{27}\.local$/, "$1\u2026.local")}:${port}`;
}

/** @param {CandidateView} candidate */
function addressText(candidate) {
  return make("span", { class: "mono", title: candidate.address }, address(candidate));
}

/**
 * What a path is, for a person.
 * @param {PairView} pair
 */
function inWords({ local, remote }) {
  if (local.type === "relay")
    return `Through the TURN server, which we speak to over ${local.server?.protocol ?? "UDP"}.`;
  if (remote.type === "relay") return "Through the other side's TURN server.";
  if (local.type === "host" && remote.type === "host")
    return "Directly, from one machine's own address to the other's.";
  return "Directly, by an address that was learnt on the way.";
}

/**
 * Changes a scrolling list and stays at its end if that is where the reader was.
 * @param {HTMLElement} list
 * @param {() => void} change
 */
function followed(list, change) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  change();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {string} [text]
 */
function make(tag, attributes, text) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}
