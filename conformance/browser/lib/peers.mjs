/**
 * The other side of the page under test: the native peer that waits in the demo's room, or with `PEER=page` a
 * second page that does the same. The tests are the same for both.
 */

import { openPage } from "./browser.mjs";

/**
 * @import { Browser } from "playwright-core"
 * @import { Server } from "./programs.mjs"
 *
 * @typedef {object} Peer
 * @property {string} room in which it waits
 * @property {() => Promise<number>} ended
 *   resolves with the time in milliseconds since 1970 at which it saw the connection end
 * @property {() => Promise<void>} dismiss
 */

let rooms = 0;

/** @typedef {"native" | "page"} Kind */

/** @type {Kind} */
export const KIND = process.env.PEER === "page" ? "page" : "native";

/**
 * @param {Server} demo
 * @param {Browser} browser
 * @returns {Promise<Peer>}
 */
export function awaitPeer(demo, browser) {
  return KIND === "page" ? secondPage(demo, browser) : nativePeer(demo);
}

/**
 * @param {Server} demo
 * @returns {Promise<Peer>}
 */
async function nativePeer(demo) {
  demo.mark();
  return {
    room: "demo",
    ended: async () => (await demo.said(/session ended/)).at,
    dismiss: async () => {},
  };
}

/**
 * @param {Server} demo
 * @param {Browser} browser
 * @returns {Promise<Peer>}
 */
export async function secondPage(demo, browser) {
  const room = `pages-${++rooms}`;
  const { page } = await openPage(browser, `${demo.url}?room=${room}&echo=1`);
  await page.evaluate(() => frazil.app.until(() => frazil.app.states.some(({ value }) => value === "joined")));
  return {
    room,
    ended: () => page.evaluate(async () => performance.timeOrigin + (await frazil.ended()).at),
    dismiss: () => page.context().close(),
  };
}
