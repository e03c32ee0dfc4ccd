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
 * @property {(member: string) => Promise<string>} ended
 *   resolves with who ended its connection with that member, when it has ended: `us`, `them` or `failure`
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
    ended: async (member) => (await demo.said(new RegExp(`session ended member=${member} by="(\\w+)"`)))[1],
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
    ended: () => page.evaluate(async () => (await frazil.ended()).by),
    dismiss: () => page.context().close(),
  };
}
