/**
 * Chromium as one of the two peers of `kernel-matrix`: takes a task as the native peer does, and prints the same kind of
 * report (`conformance/kernel/src/peer`).
 *
 *     node kernel-peer.mjs TASK
 */

import { launch } from "./lib/browser.mjs";

/**
 * @typedef {object} Task
 * @property {string} signaling
 * @property {string} room
 * @property {boolean} offers
 * @property {{ uri: string, username?: string, password?: string }[]} servers
 * @property {number} limit_ms
 *
 * @typedef {object} Candidate
 * @property {string} kind
 * @property {string | null} address
 * @property {string} protocol
 * @property {string} [relay_protocol]
 */

/**
 * Runs in the page.
 * @param {Task} task
 */
async function connect(task) {
  // What is said on the channel, as the native peer has it.
  const CALL = "is anybody there?";
  const ECHO = "is anybody there? is anybody there?";
  const SETTLED = "settled";
  /** How long a nominated path must have stood to be called the one in the end. */
  const SETTLING_MS = 3000;
  /** How long the last words may take. */
  const FAREWELL_MS = 20_000;

  /** @type {{ uri: string, code: number, text: string, after_ms: number }[]} */
  const errors = [];
  /** @type {Candidate[]} */
  const candidates = [];

  /** @param {any} report of a candidate; @returns {Candidate} */
  const describe = ({ candidateType, address, port, protocol, relayProtocol }) => ({
    kind: candidateType,
    // One that hides behind a name has no address to tell.
    address: /^[\d.]+$/.test(address ?? "") && port ? `${address}:${port}` : null,
    protocol,
    ...(relayProtocol && { relay_protocol: relayProtocol }),
  });

  const socket = new WebSocket(task.signaling);
  /** @param {object} message */
  const say = (message) => socket.send(JSON.stringify(message));
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error("the signalling server cannot be reached"));
  });
  /** @type {any[]} */
  const heard = [];
  let hear = () => {};
  socket.onmessage = ({ data }) => {
    heard.push(JSON.parse(data));
    hear();
  };
  const next = async () => {
    while (heard.length === 0) await new Promise((resolve) => (hear = () => resolve(undefined)));
    return heard.shift();
  };
  say({ type: "join", room: task.room });
  for (;;) {
    const news = await next();
    if (news.type === "peer-joined" || (news.type === "welcome" && news.members.length > 0)) break;
    if (news.type === "error") throw new Error(news.message);
  }

  const started = performance.now();
  const since = () => Math.round(performance.now() - started);
  const peer = new RTCPeerConnection({
    iceServers: task.servers.map(({ uri, username, password }) => ({
      urls: uri,
      ...(username !== undefined && { username, credential: password }),
    })),
  });
  /** @type {number | undefined} */
  let connected;
  /** @type {number | undefined} */
  let echoed;
  let called = false;
  let saidSettled = false;
  let heardSettled = false;
  /** @type {RTCDataChannel | undefined} */
  let channel;

  peer.onicecandidate = ({ candidate }) => {
    if (candidate?.candidate) {
      const { type, address, port, protocol } = candidate;
      candidates.push(describe({ candidateType: type, address, port, protocol }));
    }
    say({ type: "candidate", candidate: candidate?.toJSON() ?? { candidate: "", sdpMid: "0" } });
  };
  peer.onicecandidateerror = ({ url, errorCode, errorText }) => {
    errors.push({ uri: url, code: errorCode, text: errorText, after_ms: since() });
  };
  /** @param {RTCDataChannel} opened */
  const use = (opened) => {
    channel = opened;
    opened.onmessage = ({ data }) => {
      if (data === CALL) opened.send(ECHO);
      else if (data === ECHO) echoed ??= since();
      else if (data === SETTLED) heardSettled = true;
    };
  };
  peer.ondatachannel = (event) => use(event.channel);

  /** What signalling brings, in order. */
  const listen = async () => {
    for (;;) {
      const news = await next();
      if (news.type === "description") {
        await peer.setRemoteDescription(news.description);
        if (news.description.type !== "offer") continue;
        await peer.setLocalDescription();
        say({ type: "description", description: peer.localDescription });
      } else if (news.type === "candidate") {
        await peer.addIceCandidate(news.candidate);
      }
    }
  };
  /** @type {string | undefined} */
  let trouble;
  listen().catch((error) => (trouble = String(error)));
  if (task.offers) {
    use(peer.createDataChannel("kernel"));
    await peer.setLocalDescription();
    say({ type: "description", description: peer.localDescription });
  }

  /** @returns {Promise<Map<string, any>>} */
  const statistics = async () => new Map(/** @type {any} */ (await peer.getStats()));
  const path = async () => {
    const stats = await statistics();
    const all = [...stats.values()];
    const transport = all.find(({ type }) => type === "transport");
    const pair = stats.get(transport?.selectedCandidatePairId);
    if (!pair) return undefined;
    const [local, remote] = [pair.localCandidateId, pair.remoteCandidateId].map((id) => describe(stats.get(id)));
    return { local, remote, nominated: pair.nominated };
  };

  let counted = "";
  let stood = "";
  let stoodSince = 0;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const words = `${counted}, called ${called}, echoed ${echoed}, settled ${saidSettled}`;
    const why = `${peer.connectionState}, channel ${channel?.readyState}, ${words}`;
    if (peer.connectionState === "connected") connected ??= since();
    if (peer.connectionState === "failed") {
      return { end: { failed: { after_ms: since(), reason: "no pair succeeded", why } }, candidates, errors };
    }
    if (trouble !== undefined || since() > task.limit_ms) {
      return { end: { undecided: { why: trouble ?? why } }, candidates, errors };
    }
    if (channel?.readyState === "open" && echoed === undefined) {
      // To the page a channel of the other side's is open from the first; what it sends before it is so below is lost.
      const below = [...(await statistics()).values()].find(({ type }) => type === "data-channel");
      counted = `${below?.state} below, ${below?.messagesSent} sent, ${below?.messagesReceived} received`;
      if (!called && below?.state === "open") {
        called = true;
        channel.send(CALL);
      }
    }
    if (connected === undefined || echoed === undefined) continue;
    const now = await path();
    if (JSON.stringify(now) !== stood) [stood, stoodSince] = [JSON.stringify(now), since()];
    if (!saidSettled && now?.nominated && since() - stoodSince > SETTLING_MS && channel?.readyState === "open") {
      saidSettled = true;
      channel.send(SETTLED);
    }
    if (saidSettled && (heardSettled || channel?.readyState !== "open")) {
      const end = { connected: { connected_ms: connected, echoed_ms: echoed, path: now } };
      // The native peer closes as soon as it has heard our last word.
      for (const at = since(); channel?.readyState === "open" && since() - at < FAREWELL_MS;) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return { end, candidates, errors };
    }
  }
}

/** @type {Task} */
const task = JSON.parse(process.argv[2]);
// The TURN server's certificate is vouched for by nobody whom a browser knows.
const browser = await launch("mdns", ["--ignore-certificate-errors"]);
try {
  const page = await (await browser.newContext()).newPage();
  const report = await page
    .evaluate(connect, task)
    .catch((error) => ({ end: { undecided: { why: String(error) } }, candidates: [], errors: [] }));
  console.log(JSON.stringify(report));
} finally {
  await browser.close();
}
