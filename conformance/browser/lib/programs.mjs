/** The programs under test, started and stopped. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { access } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The folder of the whole project. */
export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
/** Longer than anything here takes, on the slowest machine. */
const PATIENCE_MS = 120_000;

/** Where the programs are, unless the environment says otherwise. */
const BUILT = `${process.env.CARGO_TARGET_DIR ?? `${ROOT}target`}/debug`;
const DEMO = process.env.DEMO ?? `${BUILT}/frazil-demo`;
const SIGNALING = process.env.SIGNALING ?? `${BUILT}/frazil-signaling`;

/** A running program, and what it has written. */
class Program {
  #child;
  /** @type {Promise<any[]>} */
  #exited;
  /** @type {string[]} */
  #lines = [];
  /** How many of them were there when `mark` was called. */
  #marked = 0;
  /** @type {Set<() => void>} */
  #waiting = new Set();
  /** What it printed, as opposed to what it logged. @type {string[]} */
  printed = [];

  /**
   * @param {string} path
   * @param {string[]} arguments_
   * @param {Record<string, string>} environment
   */
  constructor(path, arguments_, environment) {
    this.path = path;
    this.#child = spawn(path, arguments_, { env: { ...process.env, ...environment } });
    this.#exited = once(this.#child, "exit");
    createInterface(this.#child.stdout).on("line", (line) => {
      this.printed.push(line);
      this.#wrote(line);
    });
    createInterface(this.#child.stderr).on("line", (line) => this.#wrote(line));
  }

  /** @param {string} line */
  #wrote(line) {
    if (process.env.VERBOSE) console.error(line);
    this.#lines.push(line);
    for (const look of [...this.#waiting]) look();
  }

  /** From here on, `said` looks only at what comes later. */
  mark() {
    this.#marked = this.#lines.length;
  }

  /**
   * Resolves when it has written a line like that.
   * @param {RegExp} pattern
   * @returns {Promise<RegExpMatchArray>}
   */
  async said(pattern) {
    /** @type {Promise<RegExpMatchArray>} */
    const found = new Promise((resolve) => {
      const look = () => {
        for (const line of this.#lines.slice(this.#marked)) {
          const match = line.match(pattern);
          if (!match) continue;
          this.#waiting.delete(look);
          resolve(match);
          return;
        }
      };
      this.#waiting.add(look);
      look();
    });
    const ended = this.#exited.then(([code]) => {
      const all = this.#lines.join("\n");
      throw new Error(`${this.path} ended with ${code} and did not say ${pattern}: ${all}`);
    });
    return await Promise.race([found, ended, after(PATIENCE_MS, `${this.path} did not say ${pattern}`)]);
  }

  /**
   * Types a line.
   * @param {string} line
   */
  type(line) {
    this.#child.stdin.write(`${line}\n`);
  }

  /**
   * Stops it as Ctrl-C does.
   * @returns {Promise<number | null>} the exit code
   */
  async stop() {
    this.#child.kill("SIGINT");
    try {
      const [code] = await Promise.race([this.#exited, after(PATIENCE_MS, `${this.path} does not stop`)]);
      return code;
    } catch (error) {
      this.#child.kill("SIGKILL");
      throw error;
    }
  }
}

/** @typedef {Program & { url: string }} Server which has printed its URL */

/**
 * Starts the demo.
 * @param {string} [port] 0, if not given, is one of its own
 * @param {string[]} [more] arguments
 */
export function startDemo(port = "0", more = []) {
  const log = { RUST_LOG: "frazil_demo=info,error,stun_proto=off", NO_COLOR: "1" };
  return startServer(DEMO, ["--no-browser", "--port", port, ...more], log);
}

/**
 * Starts a second native peer, which joins a room of a demo.
 * @param {Server} demo
 * @param {string} room
 * @param {string[]} [more] arguments
 */
export function joinDemo(demo, room, more = []) {
  return new Program(DEMO, ["--join", demo.url, room, ...more], {});
}

/**
 * Starts the signalling server on a port of its own.
 * @param {string[]} [more] arguments
 */
export function startSignaling(more = []) {
  return startServer(SIGNALING, ["--listen", "127.0.0.1:0", ...more], {});
}

/**
 * @param {string} path
 * @param {string[]} arguments_
 * @param {Record<string, string>} environment
 * @returns {Promise<Server>}
 */
async function startServer(path, arguments_, environment) {
  await access(path).catch(() => {
    throw new Error(`${path} is not there; build it first`);
  });
  const program = new Program(path, arguments_, environment);
  const [url] = await program.said(/https?:\S+/);
  return Object.assign(program, { url });
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
