// How a program in TypeScript uses the package by `import`. It is compiled, and its assertions are those of the compiler.

import { Channel, Connection, type Event, FrazilError, type Message, type Pair, Peer, type Reason } from "frazil";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <T extends true>(value?: T) => value;

export async function use(seed: Uint8Array): Promise<void> {
  const connection = new Connection({ iceServers: [{ urls: "stun:stun.example.org" }], loopback: true });
  connection.on("icecandidate", (candidate) => holds<Equal<typeof candidate.candidate, string>>());
  connection.on("datachannel", async (channel) => {
    for await (const message of channel) {
      holds<Equal<typeof message, Message>>();
      await channel.send(message);
    }
  });
  connection.on("connectionstatechange", (state, failure) => {
    holds<Equal<typeof failure, string | undefined>>();
    if (state === "failed") console.error(failure);
  });
  connection.on("selectedcandidatepairchange", (pair) => holds<Equal<typeof pair, Pair | null>>());
  // @ts-expect-error there is no such event
  connection.on("nothing", () => {});
  const channel: Channel = connection.createDataChannel("data", { ordered: false, maxRetransmits: 0 });
  await channel.opened;
  const message = await channel.receive({ signal: AbortSignal.timeout(1000) });
  holds<Equal<typeof message, Message | undefined>>();
  holds<Equal<typeof channel.ordered, boolean>>();
  connection.setRemoteDescription({ type: "answer", sdp: "" });
  // As browsers write it in JSON.
  connection.addIceCandidate({ candidate: "", sdpMid: null, sdpMLineIndex: 0, usernameFragment: null });
  // @ts-expect-error a channel is made by its connection
  new Channel();
  await connection.close();

  const peer = new Peer({ mtu: 1200 }, [], null, seed, performance.now());
  try {
    const event = peer.pollEvent();
    if (event !== null) describe(event);
    // @ts-expect-error bytes are wanted
    peer.handleDatagram(0, "bytes", 0);
  } catch (error) {
    if (error instanceof FrazilError) holds<Equal<typeof error.code, Reason>>();
  }
}

export function describe(event: Event): string {
  switch (event.type) {
    case "Message":
      return `${event.channel}: ${event.text ? "text" : "bytes"}, ${event.data.length}`;
    case "ConnectionStateChange":
      return `${event.state} ${event.failure ?? ""}`;
    case "Resolve":
      // @ts-expect-error what another event has
      return `${event.name} ${event.state}`;
    default:
      return event.type;
  }
}
