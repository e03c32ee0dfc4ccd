/** The time from the opening of the page to the first echoed message: the median of many runs. */

import { launch, openPage } from "./lib/browser.mjs";
import { awaitPeer } from "./lib/peers.mjs";
import { after, startDemo } from "./lib/programs.mjs";

/** @import { Addresses } from "./lib/browser.mjs" */

const RUNS = Number(process.env.RUNS ?? 20);

const demo = await startDemo();
try {
  for (const addresses of /** @type {Addresses[]} */ (["plain", "mdns"])) {
    const browser = await launch(addresses);
    for (const offerer of ["page", "peer"]) {
      const times = [];
      // The first run warms up the browser and is not counted.
      for (let run = 0; run <= RUNS; run++) {
        const peer = await awaitPeer(demo, browser);
        const { page } = await openPage(browser, `${demo.url}?room=${peer.room}&offer=${offerer}`);
        const echo = page.evaluate(() => frazil.timeToFirstEcho());
        const time = await Promise.race([echo, after(30_000, "no echo came")]).catch(async (error) => {
          throw new Error(`${error.message}: ${await page.evaluate(() => JSON.stringify(frazil.app.states))}`);
        });
        if (run > 0) times.push(time);
        await page.context().close();
        await peer.dismiss();
      }
      times.sort((a, b) => a - b);
      const [median, least, most] = [times[Math.floor((RUNS - 1) / 2)], times[0], times[RUNS - 1]].map(Math.round);
      const way = `${offerer} offers, ${addresses} addresses`.padEnd(32);
      console.log(`${way} median ${median} ms of ${RUNS} runs (${least} to ${most})`);
    }
    await browser.close();
  }
} finally {
  await demo.stop();
}
