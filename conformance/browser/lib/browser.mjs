/** A real browser with pages of the demo. */

import { mkdir } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { chromium } from "playwright-core";

import { ROOT } from "./programs.mjs";

/** @import { Browser, Page } from "playwright-core" */

/** Whether host candidates bear addresses, or names that hide them (mDNS). @typedef {"plain" | "mdns"} Addresses */

export const DESKTOP = { width: 1200, height: 900 };
export const PHONE = { width: 390, height: 844 };
/** How long to wait for what ought to come at once, unless told otherwise: longer than it takes on the slowest machine. */
export const PATIENCE_MS = 60_000;
/** How long the browser may take to start. */
const LAUNCH_MS = 180_000;
/** How long `eventually` looks away. */
const PAUSE_MS = 50;

/**
 * @param {Addresses} addresses
 * @param {string[]} [more] flags
 * @returns {Promise<Browser>}
 */
export function launch(addresses, more = []) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    timeout: LAUNCH_MS,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...(addresses === "plain" ? ["--disable-features=WebRtcHideLocalIpsWithMdns"] : []),
      ...more,
    ],
  });
}

/**
 * A page of its own profile, which shows nothing yet.
 * @param {Browser} browser
 * @param {{ width: number, height: number }} [viewport]
 */
export async function emptyPage(browser, viewport = DESKTOP) {
  const context = await browser.newContext({ viewport });
  context.setDefaultTimeout(PATIENCE_MS);
  return await context.newPage();
}

/**
 * Opens a page of its own profile. What it complains of is collected and thrown by `complaints`.
 * @param {Browser} browser
 * @param {string} url
 * @param {{ width: number, height: number }} [viewport]
 */
export async function openPage(browser, url, viewport = DESKTOP) {
  const page = await emptyPage(browser, viewport);
  /** @type {string[]} */
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  await page.goto(url);
  return { page, complaints };
}

/**
 * Looks until what is seen is as it should be, and says what was seen last if it never is.
 * @template T
 * @param {string} what should be there
 * @param {() => Promise<T>} look
 * @param {(seen: T) => boolean} isThere
 * @param {number} [patience] in milliseconds
 * @returns {Promise<T>}
 */
export async function eventually(what, look, isThere, patience = PATIENCE_MS) {
  for (const deadline = Date.now() + patience; ; await pause(PAUSE_MS)) {
    const seen = await look();
    if (isThere(seen)) return seen;
    if (Date.now() > deadline) {
      throw new Error(`waited ${patience} ms for ${what} and saw ${JSON.stringify(seen)}`);
    }
  }
}

/**
 * Keeps what a person would see.
 * @param {Page} page
 * @param {string} name
 */
export async function keepScreenshot(page, name) {
  const folder = process.env.ARTIFACTS ?? `${ROOT}artifacts`;
  await mkdir(folder, { recursive: true });
  await page.evaluate(() => frazil.app.refresh());
  await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
}
