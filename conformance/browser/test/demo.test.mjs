/** The page in a real browser, connected to the other side in every way in which it can be. */

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test as unbounded } from "node:test";
import WebSocket from "ws";

import {
  DESKTOP,
  PATIENCE_MS,
  PHONE,
  emptyPage,
  eventually,
  keepScreenshot,
  launch,
  openPage,
} from "../lib/browser.mjs";
import { KIND, awaitPeer, secondPage } from "../lib/peers.mjs";
import { joinDemo, startDemo } from "../lib/programs.mjs";

/**
 * @import { Browser, Page } from "playwright-core"
 * @import { Addresses } from "../lib/browser.mjs"
 * @import { Peer } from "../lib/peers.mjs"
 * @import { Server } from "../lib/programs.mjs"
 */

const MIB = 1024 * 1024;
/** Longer than any test takes, on the slowest machine. */
const LIMIT_MS = 300_000;

/**
 * A test that does not wait for ever.
 * @param {string} name
 * @param {() => Promise<void>} body
 */
function test(name, body) {
  unbounded(name, { timeout: LIMIT_MS }, body);
}

const isHost = (/** @type {string} */ line) => line.includes(" typ host");

/**
 * The candidates that the page has signalled.
 * @param {Page} page
 * @returns {Promise<string[]>}
 */
function signalled(page) {
  return page.evaluate(() => frazil.app.candidates?.local ?? []);
}

/**
 * The first host candidate of a connection that nobody is at the other end of.
 *
 * Chromium ends its gathering when it is connected, and a candidate whose name under mDNS is not registered by then is
 * never signalled. We may well be faster than the name. Here nothing ends the gathering.
 * @param {Page} page
 * @returns {Promise<string>}
 */
function hostOfNoConnection(page) {
  return page.evaluate(async (patience) => {
    const connection = new RTCPeerConnection();
    try {
      /** @type {Promise<string>} */
      const host = new Promise((resolve, reject) => {
        connection.onicecandidate = ({ candidate }) => {
          if (candidate?.type === "host") resolve(candidate.candidate);
        };
        setTimeout(() => reject(new Error(`no host candidate within ${patience} ms`)), patience);
      });
      connection.createDataChannel("nobody");
      await connection.setLocalDescription();
      return await host;
    } finally {
      connection.close();
    }
  }, PATIENCE_MS);
}

/**
 * What the page is called in its room.
 * @param {Page} page
 * @returns {Promise<string>}
 */
async function member(page) {
  const id = await page.evaluate(() => frazil.app.member);
  assert.ok(id, "the page is in a room");
  return id;
}

/** @type {Server} */
let demo;
before(async () => void (demo = await startDemo()));
after(async () => {
  assert.equal(await demo.stop(), 0);
  assert.deepEqual(demo.printed, [demo.url], "with --no-browser the demo prints its URL and nothing else");
});

for (const addresses of /** @type {Addresses[]} */ (["plain", "mdns"])) {
  for (const offerer of ["page", "peer"]) {
    describe(`${offerer} offers, ${addresses} addresses`, () => {
      /** @type {Browser} */
      let browser;
      /** @type {Peer} */
      let peer;
      /** @type {Page} */
      let page;
      /** @type {string[]} */
      let complaints;

      before(async () => void (browser = await launch(addresses)));
      after(() => browser?.close());
      beforeEach(async () => {
        peer = await awaitPeer(demo, browser);
        ({ page, complaints } = await openPage(browser, `${demo.url}?room=${peer.room}&offer=${offerer}`));
        await page.evaluate(() => frazil.connected());
      });
      afterEach(async () => {
        await page?.context().close();
        await peer?.dismiss();
        assert.deepEqual(complaints, []);
      });

      test("a message is echoed, and the page tells what happened", async () => {
        const echo = await page.evaluate(() => frazil.say("How cold is the water?"));
        assert.equal(echo.text, "How cold is the water?");
        const role = await page.evaluate(() => frazil.app.role);
        assert.equal(role, offerer === "page" ? "offerer" : "answerer");

        // An echo may overtake the news of a state that it took to get there.
        const states = () => page.evaluate(() => frazil.app.states.map(({ what, value }) => `${what} ${value}`));
        for (const state of ["server joined", "signalling stable", "connection connected", "chat open"]) {
          await eventually(`"${state}" among the states`, states, (seen) => seen.includes(state));
        }
        const connected = ["ICE connected", "ICE completed"];
        await eventually("ICE to connect", states, (seen) => connected.some((state) => seen.includes(state)));

        if (addresses === "plain") {
          await eventually(
            "a host candidate",
            () => signalled(page),
            (lines) => lines.some(isHost),
          );
        }
        for (const line of [await hostOfNoConnection(page), ...(await signalled(page)).filter(isHost)]) {
          assert.equal(/ \S+\.local /.test(line), addresses === "mdns", line);
        }

        // The path may have changed a moment ago, and the browser's figures may be older than that.
        const selected = async () => (await page.evaluate(() => frazil.app.refresh())).selected;
        // Chromium calls a pair in progress again whenever one of its pings waits for the answer.
        const working = ["succeeded", "in-progress"];
        await eventually("a selected pair that works and is measured", selected, (pair) =>
          Boolean(pair && working.includes(pair.state) && typeof pair.roundTrip === "number"),
        );
        const shown = (/** @type {string} */ rows) => () => page.locator(rows).count();
        await eventually("pairs to be shown", shown("#pairs .pair"), (count) => count > 0);
        await eventually("candidates to be shown", shown("#candidates .candidate"), (count) => count > 1);
      });

      test("a file of 16 MiB goes each way and arrives whole", async () => {
        const sent = await page.evaluate((size) => frazil.sendFile(size), 16 * MIB);
        assert.equal(sent.state, "verified", sent.why);
        assert.deepEqual([sent.done, sent.sha256], [16 * MIB, sent.theirSha256]);
        const received = await page.evaluate((size) => frazil.askForFile(size), 16 * MIB);
        assert.equal(received.state, "verified", received.why);
        assert.deepEqual([received.done, received.sha256], [16 * MIB, received.theirSha256]);
        assert.notEqual(sent.sha256, received.sha256);

        const name = `${KIND}-${offerer}-offers-${addresses}`;
        await page.evaluate(() => frazil.say("Both files arrived."));
        await keepScreenshot(page, `${name}-desktop`);
        await page.setViewportSize(PHONE);
        await keepScreenshot(page, `${name}-phone`);
        await page.setViewportSize(DESKTOP);
      });

      test("an empty file and one of a single byte arrive too", async () => {
        for (const size of [0, 1]) {
          const sent = await page.evaluate((size) => frazil.sendFile(size), size);
          assert.equal(sent.state, "verified", sent.why);
          const received = await page.evaluate((size) => frazil.askForFile(size), size);
          assert.equal(received.state, "verified", received.why);
          assert.equal(received.size, size);
        }
      });

      // Whoever is not told finds out by hearing nothing, and calls that a failure.
      test("the page closes, and both sides are told", async () => {
        const ended = peer.ended(await member(page));
        await page.locator("#close").click();
        assert.equal((await page.evaluate(() => frazil.ended())).by, "us");
        assert.equal(await ended, "them");
      });

      test("the other side closes, and both sides are told", async () => {
        const ended = peer.ended(await member(page));
        await page.evaluate(() => frazil.app.askToClose());
        assert.equal((await page.evaluate(() => frazil.ended())).by, "them");
        assert.equal(await ended, "us");
      });

      test("the page is reloaded and connects again", async () => {
        for (let round = 0; round < 3; round++) {
          await page.reload();
          await page.evaluate(() => frazil.connected());
          const echo = await page.evaluate((text) => frazil.say(text), `round ${round}`);
          assert.equal(echo.text, `round ${round}`);
        }
      });

      test("the page connects again at the press of a button, in the other role too", async () => {
        await page.locator("#again").click();
        await page.evaluate(() => frazil.connected());
        await page.evaluate(() => frazil.say("again"));
        const other = offerer === "page" ? "peer" : "page";
        await page.locator(`input[name=offer][value=${other}]`).check({ force: true });
        await page.evaluate(() => frazil.connected());
        const role = await page.evaluate(() => frazil.app.role);
        assert.equal(role, other === "page" ? "offerer" : "answerer");
        await page.evaluate(() => frazil.say("the other way round"));
      });
    });
  }
}

describe("over the relay", () => {
  /** @type {Browser} */
  let browser;
  /** @type {Peer} */
  let peer;
  before(async () => void (browser = await launch("plain")));
  after(() => browser?.close());
  beforeEach(async () => void (peer = await awaitPeer(demo, browser)));
  afterEach(() => peer?.dismiss());

  for (const transport of ["udp", "tcp"]) {
    test(`a path through the TURN server, which is spoken to over ${transport}`, async () => {
      const page = await emptyPage(browser);
      // The page gets only the one way to the server.
      await page.route("**/config.json", async (route) => {
        const config = await (await route.fetch()).json();
        const [, turn] = config.iceServers;
        turn.urls = turn.urls.filter((/** @type {string} */ url) => url.endsWith(transport));
        await route.fulfill({ json: { ...config, iceServers: [turn] } });
      });
      await page.goto(`${demo.url}?room=${peer.room}&relay=1`);
      await page.evaluate(() => frazil.connected());
      const sent = await page.evaluate((size) => frazil.sendFile(size), MIB);
      assert.equal(sent.state, "verified", sent.why);
      const relay = async () => (await page.evaluate(() => frazil.app.refresh())).selected?.local;
      const local = await eventually("a selected pair", relay, (local) => local !== undefined);
      assert.equal(local?.type, "relay");
      assert.equal(local?.server?.protocol, transport.toUpperCase());
      await page.context().close();
    });
  }
});

test("a page from another machine, which is not a secure context", async () => {
  const open = await startDemo("0", ["--bind", "0.0.0.0"]);
  const browser = await launch("mdns");
  try {
    assert.equal(new URL(open.url).hostname, "10.99.0.1");
    const peer = await awaitPeer(open, browser);
    const { page } = await openPage(browser, `${open.url}?room=${peer.room}`, PHONE);
    assert.equal(await page.evaluate(() => isSecureContext), false);
    await page.evaluate(() => frazil.connected());
    const sent = await page.evaluate((size) => frazil.sendFile(size), MIB);
    assert.equal(sent.state, "verified", sent.why);
  } finally {
    await browser.close();
  }
  assert.equal(await open.stop(), 0);
});

describe("others who may come together", () => {
  test("two pages in a room without a native peer", async () => {
    const browser = await launch("mdns");
    try {
      const peer = await secondPage(demo, browser);
      const { page } = await openPage(browser, `${demo.url}?room=${peer.room}`);
      await page.evaluate(() => frazil.connected());
      assert.equal((await page.evaluate(() => frazil.say("from page to page"))).text, "from page to page");
    } finally {
      await browser.close();
    }
  });

  for (const more of [[], ["--offer"]]) {
    test(`a second native peer from another terminal ${more}`, async () => {
      demo.mark();
      const second = joinDemo(demo, "demo", more);
      await second.said(/the native peer: connected/);
      await demo.said(more.length ? /second native peer: connecting, the other/ : /second native peer: connecting, we/);
      second.type("hello from a terminal");
      await demo.said(/second native peer: says "hello from a terminal"/);
      await second.said(/echoed what we said/);
      for (const command of ["/send 1", "/ask 1"]) second.type(command);
      const [sent, received] = [
        await second.said(/sent random-\d+-bytes.bin, 1048576 bytes.* SHA-256 ([0-9a-f]{64})/),
        await demo.said(/received random-\d+-bytes.bin, 1048576 bytes.* SHA-256 ([0-9a-f]{64})/),
      ];
      assert.equal(sent[1], received[1]);
      await second.said(/received random-\d+-bytes.bin, 1048576 bytes/);
      assert.equal(await second.stop(), 0);
      await demo.said(/second native peer: the other side closed the connection/);
    });
  }
});

describe("when something is wrong, the page says so", () => {
  /** @type {Browser} */
  let browser;
  before(async () => void (browser = await launch("plain")));
  after(() => browser?.close());

  test("alone in a room", async () => {
    const { page } = await openPage(browser, `${demo.url}?room=nobody`);
    await page.getByText("Waiting for somebody to connect to").waitFor();
    assert.equal(await page.locator("#text").isDisabled(), true);
  });

  test("a room with a name that cannot be", async () => {
    const { page } = await openPage(browser, `${demo.url}?room=${encodeURIComponent("no/room")}`);
    await page.getByText("The signalling server refused us").waitFor();
    await page.getByText("a room name is made of letters").waitFor();
  });

  test("the demo is gone, and comes back", async () => {
    const short = await startDemo();
    const { page } = await openPage(browser, `${short.url}?room=nobody`);
    await page.getByText("Waiting for somebody to connect to").waitFor();
    assert.equal(await short.stop(), 0);
    await page.getByText("The signalling server does not answer").waitFor();
    const again = await startDemo(new URL(short.url).port);
    await page.getByText("Waiting for somebody to connect to").waitFor();
    assert.equal(await again.stop(), 0);
  });

  test("the browser cannot reach the other side at all", async () => {
    const page = await emptyPage(browser);
    // An offer that nobody answers: the member it goes to is a bare WebSocket.
    await page.route("**/config.json", async (route) => {
      const config = await (await route.fetch()).json();
      await route.fulfill({ json: { ...config, room: "mute" } });
    });
    await page.clock.install();
    const mute = new WebSocket(`${demo.url.replace("http", "ws")}ws`);
    mute.onopen = () => mute.send(JSON.stringify({ type: "join", room: "mute", name: "A mute" }));
    await new Promise((resolve) => (mute.onmessage = resolve));
    await page.goto(demo.url);
    await page.getByText("Connecting to A mute").waitFor();
    await page.evaluate(() =>
      frazil.app.until(() => frazil.app.states.some(({ value }) => value === "have-local-offer")),
    );
    await page.clock.fastForward(21_000);
    await page.getByText("The other side has not answered our offer.").waitFor();
    mute.close();
  });
});
