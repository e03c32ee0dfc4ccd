// Drives Chromium: one peer connection that has the servers, and one that sends back what it gets, in one page.

import readline from 'node:readline';
import { createRequire } from 'node:module';

const { chromium } = createRequire(`${process.env.NODE_PATH}/`)('playwright-core');
const task = JSON.parse(process.argv[2]);
const say = (is, what = {}) => process.stdout.write(`${JSON.stringify({ is, ...what })}\n`);

if (task.wants_both_families) {
  say('no-api', { what: 'the family of the relayed address' });
  process.exit();
}

/** Runs in the page. */
async function play(task) {
  const say = (is, what) => globalThis.say(is, what);
  const iceServers = (servers) =>
    servers.map(({ url, username, password }) =>
      url.startsWith('stun:') ? { urls: url } : { urls: url, username, credential: password },
    );
  const near = new RTCPeerConnection({
    iceServers: iceServers(task.servers),
    iceTransportPolicy: task.is_relay_only ? 'relay' : 'all',
  });
  const far = new RTCPeerConnection();
  near.onicecandidateerror = ({ errorCode, url, errorText }) =>
    say('error', { code: errorCode, url, text: errorText });
  near.onicecandidate = ({ candidate }) => {
    if (candidate?.candidate) say('candidate', { kind: candidate.type, address: `${candidate.address}:${candidate.port}` });
    far.addIceCandidate(candidate).catch(() => {});
  };
  far.onicecandidate = ({ candidate }) => near.addIceCandidate(candidate).catch(() => {});
  near.onicegatheringstatechange = () => near.iceGatheringState === 'complete' && say('gathered');
  near.oniceconnectionstatechange = () => say('state', { state: near.iceConnectionState });
  far.ondatachannel = ({ channel }) => (channel.onmessage = ({ data }) => channel.send(data));
  const channel = near.createDataChannel('echo');
  channel.onmessage = () => say('echo');
  setInterval(() => channel.readyState === 'open' && channel.send('ping'), 500);
  globalThis.renew = (command) => {
    const renewed = task.servers.map((server) => ({ ...server, ...command }));
    near.setConfiguration({ iceServers: iceServers(renewed) });
  };
  globalThis.shut = () => [near, far].forEach((peer) => peer.close());
  await near.setLocalDescription();
  await far.setRemoteDescription(near.localDescription);
  await far.setLocalDescription();
  await near.setRemoteDescription(far.localDescription);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  // The servers' authority is known to no system store.
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--ignore-certificate-errors',
    '--disable-features=WebRtcHideLocalIpsWithMdns',
    '--disable-background-networking',
    '--disable-component-update',
  ],
});
const page = await browser.newPage();
await page.exposeFunction('say', say);
readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const command = JSON.parse(line);
  if (command.do === 'renew') {
    await page.evaluate((command) => globalThis.renew(command), command);
    return;
  }
  await page.evaluate(() => globalThis.shut());
  setTimeout(async () => {
    say('closed');
    await browser.close();
    process.exit();
  }, 1000);
});
await page.evaluate(play, task).catch((error) => say('error', { text: error.message }));
