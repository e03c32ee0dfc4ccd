/** The programs under test, started and stopped. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { access } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The folder of the whole project. */
export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const STARTUP_MS = 20_000;
const SHUTDOWN_MS = 10_000;

/** Where the programs are, unless the environment says otherwise. */
const DEMO = process.env.DEMO ?? `${ROOT}target/debug/frazil-demo`;
const SIGNALING = process.env.SIGNALING ?? `${ROOT}target/debug/frazil-signaling`;

/**
 * A running program.
 * @typedef {object} Program
 * @property {string} url which it printed first
 * @property {(pattern: RegExp) => Promise<{ at: number, match: RegExpMatchArray }>} said
 *   resolves when it has written a line like that to its standard error, with the time in milliseconds since 1970;
 *   lines written before are found too
 * @property {() => number} mark the number of lines so far; `said` looks only at later ones after it
 * @property {() => Promise<number | null>} stop as Ctrl-C does; resolves with the exit code
 */

/**
 * Starts the demo.
 * @param {string} [port] 0, if not given, is one of its own
 */
export function startDemo(port = "0") {
  return start(DEMO, ["--no-browser", "--port", port], { RUST_LOG: "frazil_demo=info,error,stun_proto=off" });
}

/**
 * Starts the signalling server on a port of its own.
 * @param {string[]} [more] arguments
 */
export function startSignaling(more = []) {
  return start(SIGNALING, ["--listen", "127.0.0.1:0", ...more], {});
}

/**
 * @param {string} path
 * @param {string[]} arguments_
 * @param {Record<string, string>} environment
 * @returns {Promise<Program>}
 */
async function start(path, arguments_, environment) {
  await access(path).catch(() => {
    throw new Error(`${path} is not there; build it first`);
  });
  const child = spawn(path, arguments_, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...environment } });
  /** @type {{ at: number, line: string }[]} */
  const lines = [];
  let marked = 0;
  /** @type {Set<() => void>} */
  const waiting = new Set();
  createInterface(child.stderr).on("line", (line) => {
    lines.push({ at: Date.now(), line });
    if (process.env.VERBOSE) console.error(line);
    for (const look of [...waiting]) look();
  });
  const exited = once(child, "exit");
  const url = await Promise.race([
    once(createInterface(child.stdout), "line").then(([line]) => /https?:\S+/.exec(line)?.[0]),
    exited.then(([code]) => {
      throw new Error(`${path} ended with ${code}: ${lines.map(({ line }) => line).join("\n")}`);
    }),
    after(STARTUP_MS, `${path} has not printed its URL`),
  ]);
  if (!url) throw new Error(`${path} printed something else than its URL`);
  return {
    url,
    mark: () => (marked = lines.length),
    said: (pattern) =>
      new Promise((resolve) => {
        const look = () => {
          for (const { at, line } of lines.slice(marked)) {
            const match = line.match(pattern);
            if (!match) continue;
            waiting.delete(look);
            resolve({ at, match });
            return;
          }
        };
        waiting.add(look);
        look();
      }),
    stop: async () => {
      child.kill("SIGINT");
      const [code] = await Promise.race([exited, after(SHUTDOWN_MS, `${path} does not stop`)]).catch((error) => {
        child.kill("SIGKILL");
        throw error;
      });
      return code;
    },
  };
}

/**
 * Rejects after a time.
 * @param {number} ms
 * @param {string} why
 * @returns {Promise<never>}
 */
export function after(ms, why) {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`${why} within ${ms} ms`)), ms).unref();
  });
}
