// Drives werift: one peer connection that has the servers, and one that sends back what it gets.

import readline from 'node:readline';
import { createRequire } from 'node:module';

const { RTCPeerConnection } = createRequire(`${process.env.NODE_PATH}/`)('werift');
const task = JSON.parse(process.argv[2]);
const say = (is, what = {}) => process.stdout.write(`${JSON.stringify({ is, ...what })}\n`);
const iceServers = (servers) =>
  servers.map(({ url, username, password }) =>
    url.startsWith('stun:') ? { urls: url } : { urls: url, username, credential: password },
  );

process.on('uncaughtException', (error) => say('error', { text: `uncaught: ${error.message}` }));
process.on('unhandledRejection', (error) => say('error', { text: `unhandled: ${error?.message}` }));

async function main() {
  if (task.wants_both_families) {
    say('no-api', { what: 'the family of the relayed address' });
    process.exit();
  }
  const near = new RTCPeerConnection({
    iceServers: iceServers(task.servers),
    iceTransportPolicy: task.is_relay_only ? 'relay' : 'all',
  });
  // Without a server of its own it would ask a built-in one.
  const far = new RTCPeerConnection({ iceServers: [{ urls: task.stun }] });
  near.onicecandidateerror = (event) =>
    say('error', { code: event?.errorCode, url: event?.url, text: event?.errorText ?? String(event) });
  near.onIceCandidate.subscribe((candidate) => {
    if (!candidate?.candidate) return;
    const words = candidate.candidate.split(' ');
    say('candidate', { kind: words[7], address: `${words[4]}:${words[5]}` });
  });
  near.iceGatheringStateChange.subscribe((state) => state === 'complete' && say('gathered'));
  near.iceConnectionStateChange.subscribe((state) => say('state', { state }));
  near.onIceCandidate.subscribe((candidate) => candidate && far.addIceCandidate(candidate).catch(() => {}));
  far.onIceCandidate.subscribe((candidate) => candidate && near.addIceCandidate(candidate).catch(() => {}));
  far.onDataChannel.subscribe((channel) => channel.onMessage.subscribe((message) => channel.send(message)));
  const channel = near.createDataChannel('echo');
  channel.onMessage.subscribe(() => say('echo'));
  setInterval(() => channel.readyState === 'open' && channel.send('ping'), 500);

  readline.createInterface({ input: process.stdin }).on('line', async (line) => {
    const command = JSON.parse(line);
    if (command.do === 'renew') {
      const renewed = task.servers.map((server) => ({ ...server, ...command }));
      near.setConfiguration({ iceServers: iceServers(renewed) });
      return;
    }
    await Promise.allSettled([near.close(), far.close()]);
    setTimeout(() => {
      say('closed');
      process.exit();
    }, 1000);
  });

  await near.setLocalDescription(await near.createOffer());
  await far.setRemoteDescription(near.localDescription);
  await far.setLocalDescription(await far.createAnswer());
  await near.setRemoteDescription(far.localDescription);
}

main().catch((error) => say('error', { text: error.message }));
