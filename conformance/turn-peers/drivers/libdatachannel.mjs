// Drives libjuice, through libdatachannel and node-datachannel: one peer connection that has the servers, and one that
// sends back what it gets.

import readline from 'node:readline';
import { createRequire } from 'node:module';

const { PeerConnection, cleanup } = createRequire(`${process.env.NODE_PATH}/`)('node-datachannel');
const task = JSON.parse(process.argv[2]);
const say = (is, what = {}) => process.stdout.write(`${JSON.stringify({ is, ...what })}\n`);

function iceServer({ url, username, password }) {
  if (url.startsWith('stun:')) return url;
  const [, hostname, port] = /^[a-z]+:\[?([^\]]*?)\]?:(\d+)/.exec(url);
  const relayType = url.startsWith('turns:') ? 'TurnTls' : url.endsWith('tcp') ? 'TurnTcp' : 'TurnUdp';
  return { hostname, port: Number(port), username, password, relayType };
}

if (task.wants_both_families) {
  say('no-api', { what: 'the family of the relayed address' });
  process.exit();
}
const near = new PeerConnection('near', {
  iceServers: task.servers.map(iceServer),
  iceTransportPolicy: task.is_relay_only ? 'relay' : 'all',
});
const far = new PeerConnection('far', { iceServers: [] });
// What is collected is closed.
const kept = (globalThis.kept = [near, far]);
/** Whatever a callback throws would abort the process. */
function attempt(call) {
  try {
    call();
  } catch (error) {
    say('error', { text: error.message });
  }
}

/** Tells `other` of the descriptions and candidates of `one`, in this order. */
function signal(one, other, tell = () => {}) {
  const waiting = [];
  let isDescribed = false;
  const add = ([candidate, mid]) => attempt(() => other.addRemoteCandidate(candidate, mid));
  one.onLocalDescription((sdp, type) => {
    attempt(() => other.setRemoteDescription(sdp, type));
    isDescribed = true;
    waiting.splice(0).forEach(add);
  });
  one.onLocalCandidate((candidate, mid) => {
    tell(candidate);
    if (isDescribed) add([candidate, mid]);
    else waiting.push([candidate, mid]);
  });
}

signal(near, far, (candidate) => {
  const words = candidate.split(' ');
  say('candidate', { kind: words[7], address: `${words[4]}:${words[5]}` });
});
signal(far, near);
near.onGatheringStateChange((state) => state === 'complete' && say('gathered'));
near.onIceStateChange((state) => say('state', { state }));
far.onDataChannel((channel) => {
  channel.onMessage((message) => attempt(() => channel.sendMessage(message)));
  kept.push(channel);
});
const channel = near.createDataChannel('echo');
kept.push(channel);
channel.onMessage(() => say('echo'));
setInterval(() => attempt(() => channel.isOpen() && channel.sendMessage('ping')), 500);

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  if (JSON.parse(line).do === 'renew') {
    say('no-api', { what: 'other credentials' });
    return;
  }
  attempt(() => near.close());
  attempt(() => far.close());
  setTimeout(() => {
    say('closed');
    cleanup();
    process.exit();
  }, 1000);
});
