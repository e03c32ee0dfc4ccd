/** What the browser's statistics say about candidates, pairs and the selected path. */

/**
 * @import { Session } from "./session.js"
 *
 * @typedef {object} CandidateView
 * @property {string} id
 * @property {"local" | "remote"} side
 * @property {string} type `host`, `srflx`, `prflx` or `relay`
 * @property {string} protocol `udp` or `tcp`
 * @property {string} address an IP address, an mDNS name, or the empty text if the browser hides it
 * @property {number} port
 * @property {number} priority
 * @property {{ kind: "STUN" | "TURN", protocol: string, url: string } | undefined} server it was got from
 *
 * @typedef {object} PairView
 * @property {string} id
 * @property {CandidateView} local
 * @property {CandidateView} remote
 * @property {string} state `waiting`, `in-progress`, `succeeded`, `failed` or `frozen`
 * @property {boolean} selected
 * @property {number | undefined} roundTrip in seconds
 * @property {number} bytesSent
 * @property {number} bytesReceived
 *
 * @typedef {{ candidates: CandidateView[], pairs: PairView[], selected: PairView | undefined }} Paths
 */

/**
 * @param {Session} session
 * @returns {Promise<Paths>}
 */
export async function readPaths(session) {
  const report = await session.statistics();
  /** @type {Map<string, CandidateView>} */
  const candidates = new Map();
  /** @type {PairView[]} */
  const pairs = [];
  let selectedId = "";
  const signalled = {
    local: session.candidates.local.map(read),
    remote: session.candidates.remote.map(read),
  };
  for (const [, entry] of /** @type {Map<string, any>} */ (report)) {
    if (entry.type === "local-candidate" || entry.type === "remote-candidate") {
      const side = entry.type === "local-candidate" ? "local" : "remote";
      candidates.set(entry.id, viewCandidate(entry, side, signalled[side]));
    } else if (entry.type === "transport") {
      selectedId = entry.selectedCandidatePairId ?? "";
    }
  }
  for (const [, entry] of /** @type {Map<string, any>} */ (report)) {
    if (entry.type !== "candidate-pair") continue;
    const local = candidates.get(entry.localCandidateId);
    const remote = candidates.get(entry.remoteCandidateId);
    if (!local || !remote) continue;
    pairs.push({
      id: entry.id,
      local,
      remote,
      state: entry.state,
      // Firefox has no transport entry that names the pair, but marks the pair.
      selected: selectedId ? entry.id === selectedId : entry.selected === true,
      roundTrip: entry.currentRoundTripTime,
      bytesSent: entry.bytesSent ?? 0,
      bytesReceived: entry.bytesReceived ?? 0,
    });
  }
  const rank = ["succeeded", "in-progress", "waiting", "frozen", "failed"];
  pairs.sort(
    (a, b) =>
      Number(b.selected) - Number(a.selected) ||
      rank.indexOf(a.state) - rank.indexOf(b.state) ||
      a.local.type.localeCompare(b.local.type) ||
      a.remote.type.localeCompare(b.remote.type),
  );
  const list = [...candidates.values()].sort(
    (a, b) => a.side.localeCompare(b.side) || b.priority - a.priority || a.port - b.port,
  );
  return {
    candidates: list,
    pairs,
    selected: pairs.find((pair) => pair.selected),
  };
}

/**
 * @param {any} entry
 * @param {"local" | "remote"} side
 * @param {ReturnType<typeof read>[]} signalled
 * @returns {CandidateView}
 */
function viewCandidate(entry, side, signalled) {
  const { id, port, priority, protocol, candidateType } = entry;
  const same = signalled.find(
    (line) => line.port === port && line.type === candidateType && line.protocol === protocol,
  );
  const url = String(entry.url ?? "");
  const kind = url.startsWith("turn") ? "TURN" : "STUN";
  return {
    id,
    side,
    type: candidateType,
    protocol,
    address: entry.address || same?.address || "",
    port,
    priority: priority ?? 0,
    server: url
      ? {
          kind,
          protocol: String(entry.relayProtocol ?? "udp").toUpperCase(),
          url,
        }
      : undefined,
  };
}

/**
 * Reads a candidate line (RFC 8839).
 * @param {string} line
 */
function read(line) {
  const [, , protocol, , address, port, , type] = line.split(" ");
  return {
    protocol: protocol?.toLowerCase(),
    address: address ?? "",
    port: Number(port),
    type,
  };
}
